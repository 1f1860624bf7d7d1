"""How far a model moved: against transformers' own loss, torch's own KL, and the same thing measured another way."""

import json
import math
import shutil
from functools import lru_cache
from pathlib import Path

import pytest
import torch
from tokenizers.processors import TemplateProcessing
from transformers import AutoModelForCausalLM, AutoTokenizer, Gemma2Config, LlamaConfig

import train.evaluation.drift as drift
import train.objective.head
from curate.model.template import load_template
from tests.paths import BASE, DATA, ROOT, needs_data
from train.evaluation.drift import Loading, PassageDrift, measure
from train.evaluation.drift_summary import interval
from train.evaluation.drift_texts import Passage, behind_prompts, windows
from train.evaluation.results import EvaluateError

TEXT = (ROOT / "README.md").read_text(encoding="utf-8").replace("<|", "<")  # no control token's name
SIZES = {
    "vocab_size": 1792, "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2,
    "num_key_value_heads": 1, "head_dim": 16, "max_position_embeddings": 128, "initializer_range": 0.3,
}  # fmt: skip
ARCHITECTURES = {
    "llama": lambda: LlamaConfig(**SIZES),
    "soft-capped": lambda: Gemma2Config(**SIZES, final_logit_softcapping=3.0, sliding_window=16),
}


def save_model(folder: Path, config, seed: int) -> Path:
    torch.manual_seed(seed)
    AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        shutil.copy(BASE / name, folder / name)
    return folder


@pytest.fixture(scope="module")
def tokenizer():
    return AutoTokenizer.from_pretrained(BASE)


@pytest.fixture(scope="module", params=ARCHITECTURES)
def pair(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param)
    return tuple(save_model(folder / str(n), ARCHITECTURES[request.param](), n) for n in range(2))


@pytest.fixture(scope="module")
def llamas(tmp_path_factory):
    folder = tmp_path_factory.mktemp("llamas")
    return tuple(save_model(folder / str(n), ARCHITECTURES["llama"](), n) for n in range(2))


@pytest.fixture(scope="module")
def mixed(tokenizer) -> list[Passage]:
    """Passages of many lengths, some with a long context that is not measured."""
    ids = tokenizer(TEXT).input_ids
    prompts = [ids[at : at + 5 + 3 * n] for n, at in enumerate(range(0, 160, 20))]
    answers = [ids[at : at + 40 - 4 * n] for n, at in enumerate(range(200, 360, 20))]
    return [*windows(TEXT, tokenizer, "text", 48, 6), *behind_prompts(prompts, answers, "prompts: med")]


def compare_float32(pair, passages, **keywords):
    return measure(*pair, passages, loading=Loading("float32", "cpu"), **keywords)


@lru_cache(maxsize=8)
def load(folder: Path):
    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()


def logits(folder: Path, passage: Passage) -> torch.Tensor:
    """Those that predict the measured tokens, by the model's plain forward pass."""
    with torch.no_grad():
        return load(folder)(torch.tensor([passage.ids])).logits[0, passage.start - 1 : -1]


def own_loss(folder: Path, passages) -> float:
    """transformers' own: labels outside the measured tokens are -100."""
    total = 0.0
    for passage in passages:
        ids = torch.tensor([passage.ids])
        labels = ids.clone()
        labels[:, : passage.start] = -100
        with torch.no_grad():
            total += load(folder)(ids, labels=labels).loss.item() * (len(passage.ids) - passage.start)
    return total


# --- against what others compute ---------------------------------------------------------------------------------


def test_perplexity_is_that_of_transformers_own_loss(pair, mixed):
    result = compare_float32(pair, mixed)
    assert [group.group for group in result.groups] == ["text", "prompts: med"]
    for group in result.groups:
        mine = [passage for passage in mixed if passage.group == group.group]
        assert group.tokens == sum(len(p.ids) - p.start for p in mine)
        for folder, perplexity in zip(pair, (group.perplexity_before, group.perplexity_after), strict=True):
            assert perplexity == pytest.approx(math.exp(own_loss(folder, mine) / group.tokens), rel=1e-5)


def test_kl_and_first_choices_are_torchs(pair, mixed):
    result = compare_float32(pair, mixed)
    for passage, got in zip(mixed, result.passages, strict=True):
        old, new = (logits(folder, passage).double().log_softmax(-1) for folder in pair)
        assert got.id == passage.id
        assert got.kl == pytest.approx(torch.nn.functional.kl_div(new, old, reduction="sum", log_target=True).item())
        assert got.kl == pytest.approx((old.exp() * (old - new)).sum().item())  # from the one before: KL(p0‖p)
        assert got.kl > 0
        assert got.changed == (old.argmax(-1) != new.argmax(-1)).sum().item()
    for group in result.groups:
        mine = [passage for passage in result.passages if passage.group == group.group]
        assert group.kl == pytest.approx(sum(p.kl for p in mine) / group.tokens)
        assert group.changed == sum(p.changed for p in mine) / group.tokens
        assert group.kl_interval[0] < group.kl < group.kl_interval[1]


def test_kl_has_a_direction(llamas, mixed):
    there, back = compare_float32(llamas, mixed), compare_float32(llamas[::-1], mixed)
    assert there.groups[0].kl != pytest.approx(back.groups[0].kl, rel=1e-3)
    assert there.groups[0].perplexity_before == pytest.approx(back.groups[0].perplexity_after)


@pytest.mark.parametrize("dtype", ["float32", "auto"])
def test_a_model_has_not_moved_from_itself(dtype, tokenizer):
    result = measure(BASE, BASE, windows(TEXT, tokenizer, "text", 128, 8), loading=Loading(dtype, "cpu"))
    group = result.groups[0]
    assert result.before == result.after
    assert group.kl == pytest.approx(0, abs=1e-6)
    assert group.kl_interval == pytest.approx((0, 0), abs=1e-6)
    assert group.perplexity_before == group.perplexity_after
    assert group.changed == 0


def test_a_small_step_is_seen(tmp_path, tokenizer):
    model = AutoModelForCausalLM.from_pretrained(BASE, dtype=torch.float32)
    torch.manual_seed(0)
    with torch.no_grad():
        for weight in model.parameters():
            weight += 0.002 * torch.randn_like(weight)
    shutil.copytree(BASE, tmp_path / "after")
    model.save_pretrained(tmp_path / "after")
    result = compare_float32((BASE, tmp_path / "after"), windows(TEXT, tokenizer, "text", 128, 8))
    assert 1e-5 < result.groups[0].kl < 0.1
    assert all(passage.kl >= 0 for passage in result.passages)


@needs_data
def test_real_text(tokenizer):
    text = (DATA / "text" / "wikitext2_test.txt").read_text(encoding="utf-8")
    passages = windows(text, tokenizer, "wikitext2", 256, 8)
    group = compare_float32((BASE, BASE), passages).groups[0]
    assert group.tokens == 8 * 255
    assert group.perplexity_before == pytest.approx(math.exp(own_loss(BASE, passages) / group.tokens), rel=1e-5)
    assert group.kl < 1e-6


# --- the same thing another way ----------------------------------------------------------------------------------


def assert_alike(left, right):
    for a, b in zip(left.passages, right.passages, strict=True):
        assert (a.id, a.tokens, a.changed) == (b.id, b.tokens, b.changed)
        assert [a.nll_before, a.nll_after, a.kl] == pytest.approx([b.nll_before, b.nll_after, b.kl], rel=1e-5)


def test_one_by_one_is_all_at_once(pair, mixed):
    assert_alike(compare_float32(pair, mixed), compare_float32(pair, mixed, batch_tokens=1))


def test_in_slices_is_whole(pair, mixed, monkeypatch):
    whole = compare_float32(pair, mixed)
    monkeypatch.setattr(train.objective.head, "MAX_LOGITS", 7 * SIZES["vocab_size"])
    widths = []
    real = drift.token_drift
    monkeypatch.setattr(drift, "token_drift", lambda *args: widths.append(len(args[0])) or real(*args))
    assert_alike(whole, compare_float32(pair, mixed))
    assert max(widths) == 7


def test_resumed_is_uninterrupted(llamas, mixed, tmp_path, monkeypatch):
    whole = compare_float32(llamas, mixed, batch_tokens=150)
    real, calls = drift.measure_batch, []

    def killed(pair, batch):
        calls.append(len(batch))
        if len(calls) == 3:
            raise KeyboardInterrupt
        return real(pair, batch)

    monkeypatch.setattr(drift, "measure_batch", killed)
    with pytest.raises(KeyboardInterrupt):
        compare_float32(llamas, mixed, batch_tokens=150, out=tmp_path)
    (part,) = tmp_path.iterdir()
    lines = part.read_text().splitlines()
    assert len(lines) == calls[0] + calls[1]
    part.write_text("\n".join(lines)[:-30])  # the second batch's last line is torn: that batch is measured again
    again = []
    monkeypatch.setattr(drift, "measure_batch", lambda pair, batch: again.append(len(batch)) or real(pair, batch))
    assert compare_float32(llamas, mixed, batch_tokens=150, out=tmp_path) == whole
    assert sum(again) == len(mixed) - calls[0]


def test_what_is_measured_is_not_measured_again(llamas, mixed, tmp_path, monkeypatch):
    messages = []
    first = compare_float32(llamas, mixed, out=tmp_path, say=messages.append)
    assert any("loading" in line for line in messages)
    monkeypatch.setattr(drift, "load_pair", lambda *_: pytest.fail("loaded"))
    messages.clear()
    assert compare_float32(llamas, mixed, out=tmp_path, say=messages.append) == first
    assert messages[0] == f"drift: {len(mixed)} of {len(mixed)} passages are measured already"
    assert sum("KL" in line for line in messages) == 2
    for other in ({"loading": Loading("bfloat16")}, {"passages": mixed[:-1]}, {"before": llamas[1]}):
        keywords = {"before": llamas[0], "after": llamas[1], "passages": mixed, "loading": Loading("float32"), **other}
        with pytest.raises(pytest.fail.Exception, match="loaded"):
            measure(**keywords, out=tmp_path)


# --- passages ----------------------------------------------------------------------------------------------------


def test_windows_cover_the_text_once(tokenizer):
    passages = windows(TEXT, tokenizer, "text", 100)
    assert [token for passage in passages for token in passage.ids] == tokenizer(TEXT).input_ids
    assert {len(passage.ids) for passage in passages[:-1]} == {100}
    assert {passage.start for passage in passages} == {1}
    assert [passage.id for passage in passages[:2]] == ["text/0", "text/1"]
    assert windows(TEXT, tokenizer, "text", 100, 3) == passages[:3]
    assert windows(TEXT, load_template(str(BASE)), "text", 100, 3) == passages[:3]


def test_a_remainder_of_one_token_is_left_out(tokenizer):
    whole = len(tokenizer(TEXT).input_ids)
    assert [len(passage.ids) for passage in windows(TEXT, tokenizer, "text", whole - 1)] == [whole - 1]


def test_control_tokens_in_a_text_are_text(tokenizer):
    (passage,) = windows("a <|im_end|> b", tokenizer, "text", 100)
    assert tokenizer.convert_tokens_to_ids("<|im_end|>") not in passage.ids
    assert tokenizer.decode(passage.ids) == "a <|im_end|> b"


def test_windows_begin_as_the_tokenizer_begins_a_text():
    bos = AutoTokenizer.from_pretrained(BASE)
    plain = bos(TEXT).input_ids
    bos.bos_token = "<|endoftext|>"
    bos.backend_tokenizer.post_processor = TemplateProcessing(
        single="<|endoftext|> $A", special_tokens=[("<|endoftext|>", 0)]
    )
    passages = windows(TEXT, bos, "text", 11, 2)
    assert [passage.ids for passage in passages] == [(0, *plain[:10]), (0, *plain[10:20])]


@pytest.mark.parametrize(
    ("text", "length", "limit", "says"),
    [(" \n", 8, None, "blank"), ("a", 8, None, "1 token"), ("a b", 1, None, "at least 2"), ("a b", 8, 0, "at least 1")],
)
def test_nothing_to_measure_is_refused(text, length, limit, says, tokenizer):
    with pytest.raises(EvaluateError, match=says):
        windows(text, tokenizer, "text", length, limit)


def test_answers_behind_prompts(tokenizer):
    passages = behind_prompts([[5, 6], [7], [8]], [[9], [], "so it is"], "prompts: med", tokenizer)
    assert passages[0] == Passage("prompts: med/0", "prompts: med", (5, 6, 9), 2)
    assert [passage.id for passage in passages] == ["prompts: med/0", "prompts: med/2"]  # an empty answer has no token
    assert passages[1].ids == (8, *tokenizer("so it is").input_ids)
    with pytest.raises(EvaluateError, match="tokenizer"):
        behind_prompts([[5]], ["text"], "prompts: med")
    with pytest.raises(EvaluateError, match="no prompt has an answer"):
        behind_prompts([[5]], [[]], "prompts: med")
    with pytest.raises(EvaluateError, match="none can be measured from token 0 on"):
        behind_prompts([[]], [[5]], "prompts: med")


# --- what is refused ---------------------------------------------------------------------------------------------


def test_another_vocabulary_is_refused(llamas, mixed, tmp_path):
    larger = save_model(tmp_path / "larger", LlamaConfig(**{**SIZES, "vocab_size": 1800}), 0)
    with pytest.raises(EvaluateError, match=r"differ in vocabulary \(1792 entries against 1800\)"):
        compare_float32((llamas[0], larger), mixed)


def test_another_tokenizer_is_refused(llamas, mixed, tmp_path):
    shutil.copytree(llamas[1], tmp_path / "other")
    path = tmp_path / "other" / "tokenizer.json"
    spec = json.loads(path.read_text(encoding="utf-8"))
    spec["normalizer"] = {"type": "Lowercase"}
    path.write_text(json.dumps(spec), encoding="utf-8")
    with pytest.raises(EvaluateError, match=r"differ in tokenizer \(normalizer in tokenizer.json\)"):
        compare_float32((llamas[0], tmp_path / "other"), mixed)


@pytest.mark.parametrize(
    ("passages", "says"),
    [
        ([], "no passages"),
        ([Passage("a", "g", (3, 4), 1), Passage("a", "h", (5, 6), 1)], "'a' is there twice"),
        ([Passage("a", "g", (3,) * 129, 1)], "129 tokens.* room for 128"),
        ([Passage("a", "g", (3, 1792), 1)], "outside the 1792"),
    ],
)
def test_passages_that_cannot_be_measured_are_refused(passages, says, llamas):
    with pytest.raises(EvaluateError, match=says):
        compare_float32(llamas, passages)


def test_a_broken_model_is_named(llamas, mixed, tmp_path):
    shutil.copytree(llamas[1], tmp_path / "broken")
    model = AutoModelForCausalLM.from_pretrained(llamas[1])
    with torch.no_grad():
        model.model.norm.weight[0] = math.nan
    model.save_pretrained(tmp_path / "broken")
    with pytest.raises(EvaluateError, match="before, nan after"):
        compare_float32((llamas[0], tmp_path / "broken"), mixed, out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


# --- groups ------------------------------------------------------------------------------------------------------


def some(number: int, kl: float, tokens: int = 10) -> PassageDrift:
    return PassageDrift(id=str(number), group="g", tokens=tokens, nll_before=0, nll_after=0, kl=kl, changed=0)


def test_the_ten_that_moved_most_by_token():
    passages = [*(some(n, n / 10) for n in range(12)), some(12, 1.0, tokens=1), some(13, 1.0, tokens=1000)]
    (group,) = drift.summarise(("a", "b"), "float32", passages, seed=0).groups
    assert [p.id for p in group.moved_most] == ["12", "11", "10", "9", "8", "7", "6", "5", "4", "3"]
    assert group.kl == pytest.approx(8.6 / 1121)  # per token, so long passages count for more


def test_the_interval_is_seeded_and_covers_the_truth():
    import numpy as np

    rng = np.random.default_rng(1)
    pairs = [[(float(v), 10) for v in rng.exponential(2.0, size=60)] for _ in range(40)]
    assert interval(pairs[0], seed=3) == interval(pairs[0], seed=3) != interval(pairs[0], seed=4)
    covered = [low <= 0.2 <= high for low, high in (interval(p, seed=0) for p in pairs)]
    assert sum(covered) >= 34
