"""How far a model's next-token distributions moved from the base's: KL(p0‖p) and perplexity, on any text.

Answers tell what a model says; this tells what changed beneath, on text that training never showed it, and it moves
before any answer does. Per token it is exact over the whole vocabulary. Both models are in memory at once, each with
the hidden states of one batch; of the logits only ``train.head.HELD`` values of each at a time, never [all positions,
vocab], so that what is held beside the models stays below a GiB however many tokens there are (0.4 measured in float32,
0.6 in bfloat16, on a CPU, with 152,000 entries).
"""

import json
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from curate.engine import EngineConfig, model_hash, positions
from curate.template import Template, text_encoder, tokenizer_hash
from train.evaluation.compare import DRAWS, middle
from train.evaluation.results import Drift, EvaluateError, GroupDrift, PassageDrift, digest, write_text

if TYPE_CHECKING:
    import torch

Say = Callable[[str], None]
Pair = tuple[Any, Any]  # the model from before and the one from after

MOST = 10  # passages that are named as those that moved most


@dataclass(frozen=True)
class Passage:
    """Tokens, of which those from ``start`` on are measured; what stands before is context.

    ``group``: what it is averaged with, "wikitext2" or "prompts: med", say. ``id`` is its own among all passages.
    """

    id: str
    group: str
    ids: tuple[int, ...]
    start: int

    def __post_init__(self) -> None:
        if not 1 <= self.start < len(self.ids):
            raise EvaluateError(f"passage {self.id!r}: of {len(self.ids)} tokens none can be measured from "
                                f"{self.start} on; a token needs one before it, and one must be left")  # fmt: skip


# --- passages ----------------------------------------------------------------------------------------------------


def windows(text: str, tokenizer: Any, group: str, length: int, limit: int | None = None) -> list[Passage]:
    """A text's first ``limit`` windows of ``length`` tokens, cut so that they neither overlap nor leave a gap.

    Each is measured from its second token, since the first has nothing before it: strided perplexity with a stride of
    the whole window. Where the tokenizer (or that of a ``Template``) begins a text with a token of its own, BOS, so
    does each window, and that is its first token: models that were trained with one are lost without. A remainder of
    one token is left out. What looks like a control token in the text is text, as everywhere (``curate.template``).
    """
    lead = _bos(tokenizer)
    if length < 2 or (limit is not None and limit < 1):
        raise EvaluateError(f"{group}: {limit} windows of {length} tokens; ask for at least 1, of at least 2 tokens")
    if not text.strip():
        raise EvaluateError(f"{group}: this text is blank, so there is nothing to measure; give a file with text in it")
    ids = text_encoder(_plain(tokenizer)).encode(text, add_special_tokens=False).ids
    step = length - len(lead)
    pieces = [(*lead, *ids[begin : begin + step]) for begin in range(0, len(ids), step)]
    whole = [piece for piece in pieces if len(piece) > 1][:limit]
    if not whole:
        raise EvaluateError(f"{group}: a text of {len(ids)} token has nothing to measure; give a longer one")
    return [Passage(f"{group}/{number}", group, piece, 1) for number, piece in enumerate(whole)]


def behind_prompts(
    prompts: Sequence[Sequence[int]], answers: Sequence[str | Sequence[int]], group: str, tokenizer: Any = None
) -> list[Passage]:
    """Prompts as token ids with the answers that the base model gave them: measured at the answers' tokens.

    Answers as tokens may end with the one that ends the turn (``Template.render(…).response_ids`` do), and then that
    one is measured as well. Answers as text need the ``tokenizer``. A prompt with an empty answer has nothing to
    measure and is left out; passages are numbered by their prompts.
    """
    encoder = None if tokenizer is None else text_encoder(_plain(tokenizer))
    found = []
    for number, (prompt, answer) in enumerate(zip(prompts, answers, strict=True)):
        if isinstance(answer, str):
            if encoder is None:
                raise EvaluateError(f"{group}: an answer given as text needs the tokenizer that makes it tokens")
            answer = encoder.encode(answer, add_special_tokens=False).ids
        if answer:
            found.append(Passage(f"{group}/{number}", group, (*prompt, *answer), len(prompt)))
    if not found:
        raise EvaluateError(f"{group}: no prompt has an answer with a token in it, so there is nothing to measure")
    return found


def _plain(tokenizer: Any) -> Any:
    return tokenizer.tokenizer if isinstance(tokenizer, Template) else tokenizer


def _bos(tokenizer: Any) -> tuple[int, ...]:
    """What the tokenizer puts before a text by itself."""
    first = tuple(_plain(tokenizer)("").input_ids[:1])
    return first if first == (_plain(tokenizer).bos_token_id,) else ()


# --- measuring ---------------------------------------------------------------------------------------------------


def measure(
    before: Path,
    after: Path,
    passages: Sequence[Passage],
    *,
    dtype: str,
    device: str | None = None,
    trust_remote_code: bool = False,
    batch_tokens: int = 16_384,
    out: Path | None = None,
    seed: int = 0,
    say: Say = lambda line: None,
) -> Drift:
    """Both models on every passage: what each token costs either, and how far their distributions are apart there.

    ``dtype`` "auto" is the base's own, for both models, so that arithmetic is not taken for drift. The logits are each
    model's own; softmax, loss and KL of them are float32. ``batch_tokens``: padded tokens a forward pass.
    With ``out``, each batch is kept in ``out/drift-<digest>.jsonl`` as soon as it is measured, and the same models,
    passages and dtype go on from there. Raises ``EvaluateError``, or ``EngineError`` for a folder without a model.
    """
    names = model_hash(EngineConfig(str(before))), model_hash(EngineConfig(str(after)))
    refuse_unlike_models(before, after, trust_remote_code)
    refuse_passages(before, after, passages, trust_remote_code)
    path = None if out is None else out / f"drift-{_key(names, passages, dtype)}.jsonl"
    found = _kept(path)
    pending = [batch for batch in batches(passages, batch_tokens) if not all(p.id in found for p in batch)]
    if found:
        say(f"drift: {len(found)} of {len(passages)} passages are measured already")
    if pending:
        say(f"drift: loading {before} and {after}")
        pair = load_pair(before, after, dtype, device, trust_remote_code)
        for batch in pending:
            fresh = measure_batch(pair, batch)
            _append(path, fresh)
            found |= {passage.id: passage for passage in fresh}
    drift = summarise(names, dtype, [found[passage.id] for passage in passages], seed)
    for group in drift.groups:
        say(f"drift: {group.group}: KL {group.kl:.4g} nats a token, perplexity {group.perplexity_before:.4g} before, "
            f"{group.perplexity_after:.4g} after")  # fmt: skip
    return drift


def load_pair(before: Path, after: Path, dtype: str, device: str | None, trust_remote_code: bool) -> Pair:
    """Both models, in one dtype, on one device: a GPU where there is one."""
    import torch
    from transformers import AutoModelForCausalLM

    place = device or ("cuda" if torch.cuda.is_available() else "cpu")

    def load(folder: Path, dtype: "str | torch.dtype") -> Any:
        try:
            model: Any = AutoModelForCausalLM.from_pretrained(
                folder, dtype=dtype, use_safetensors=True, trust_remote_code=trust_remote_code
            )
        except (OSError, ValueError) as error:
            raise EvaluateError(f"{folder}: transformers cannot load this model: {error}") from error
        return model.to(place).eval()

    base = load(before, dtype)
    return base, load(after, base.dtype)


def batches(passages: Sequence[Passage], budget: int) -> Iterator[list[Passage]]:
    """Passages of like length, longest first, so that want of memory shows at once; padded, within the budget.

    They depend on the passages alone, not on what is measured already, and a batch is kept only whole: what shares a
    batch may shape last bits, and so a resumed run gives those of one that was never killed.
    """
    batch: list[Passage] = []
    for passage in sorted(passages, key=lambda p: (-len(p.ids), p.id)):
        if batch and (len(batch) + 1) * len(batch[0].ids) > budget:
            yield batch
            batch = []
        batch.append(passage)
    if batch:
        yield batch


def measure_batch(pair: Pair, batch: Sequence[Passage]) -> list[PassageDrift]:
    import torch

    from train.head import logits_of, scored_hidden, slices

    inputs, index, targets = _padded(batch, pair[0].device)
    with torch.inference_mode():
        hidden = [scored_hidden(model, model, inputs, index) for model in pair]
        vocab = pair[0].get_output_embeddings().weight.shape[0]
        rows = [
            token_drift(logits_of(pair[0], hidden[0][part]), logits_of(pair[1], hidden[1][part]), targets[part])
            for part in slices(len(index), vocab) or [slice(None)]
        ]
    each = torch.split(torch.cat(rows), [len(passage.ids) - passage.start for passage in batch])
    return [_passage(passage, tokens) for passage, tokens in zip(batch, each, strict=True)]


def token_drift(before: "torch.Tensor", after: "torch.Tensor", targets: "torch.Tensor") -> "torch.Tensor":
    """Of logits [n, vocab] and what came next [n]: loss before, loss after, KL(before‖after), and whether the first
    choice changed. float64 [n, 4] on the CPU, for exact sums; itself float32, where a KL below 1e-6 is rounding."""
    import torch
    from torch.nn.functional import kl_div

    old, new = torch.log_softmax(before.float(), dim=-1), torch.log_softmax(after.float(), dim=-1)
    changed = (before.argmax(dim=-1) != after.argmax(dim=-1)).float()
    losses = [-logs.gather(-1, targets[:, None])[:, 0] for logs in (old, new)]
    kl = kl_div(new, old, reduction="none", log_target=True).sum(dim=-1).clamp(min=0)  # torch's order: KL(old‖new)
    return torch.stack([*losses, kl, changed], dim=-1).cpu().double()


def _padded(
    batch: Sequence[Passage], device: "torch.device"
) -> tuple[dict[str, "torch.Tensor"], "torch.Tensor", "torch.Tensor"]:
    """Rows padded at the right, where no causal model looks; the flattened places that predict the measured tokens,
    passage after passage; and these tokens."""
    import torch

    width = max(len(passage.ids) for passage in batch)
    ids = torch.zeros((len(batch), width), dtype=torch.long)
    mask = torch.zeros_like(ids)
    for row, passage in enumerate(batch):
        ids[row, : len(passage.ids)] = torch.tensor(passage.ids)
        mask[row, : len(passage.ids)] = 1
    index = [row * width + at for row, p in enumerate(batch) for at in range(p.start - 1, len(p.ids) - 1)]
    targets = [token for passage in batch for token in passage.ids[passage.start :]]
    inputs = {"input_ids": ids.to(device), "attention_mask": mask.to(device)}
    return inputs, torch.tensor(index, device=device), torch.tensor(targets, device=device)


def _passage(passage: Passage, tokens: "torch.Tensor") -> PassageDrift:
    nll_before, nll_after, kl, changed = tokens.sum(dim=0).tolist()
    if not math.isfinite(nll_before + nll_after + kl):
        raise EvaluateError(f"passage {passage.id!r}: loss {nll_before:g} before, {nll_after:g} after, KL {kl:g}: not "
                            "finite, so nothing can be said; a model that overflows in float16 needs bfloat16 or "
                            "float32, and one that does so in float32 is broken")  # fmt: skip
    return PassageDrift(
        id=passage.id, group=passage.group, tokens=len(tokens), nll_before=nll_before, nll_after=nll_after,
        kl=kl, changed=round(changed),
    )  # fmt: skip


# --- what is refused ---------------------------------------------------------------------------------------------


def refuse_unlike_models(before: Path, after: Path, trust_remote_code: bool = False) -> None:
    """Distributions can be compared only over one vocabulary. Raises ``EvaluateError`` naming what differs."""
    left, right = _tokenizer(before, trust_remote_code), _tokenizer(after, trust_remote_code)
    found = []
    if tokenizer_hash(left) != tokenizer_hash(right):
        found.append(f"tokenizer ({', '.join(_unlike_parts(left, right))} in tokenizer.json)")
    sizes = _vocabulary(before, trust_remote_code), _vocabulary(after, trust_remote_code)
    if sizes[0] != sizes[1]:
        found.append(f"vocabulary ({sizes[0]} entries against {sizes[1]})")
    if found:
        raise EvaluateError(f"{before} and {after}: no distance between their distributions: they differ in "
                            f"{' and '.join(found)}; compare a model with the base it was trained from")  # fmt: skip


def refuse_passages(before: Path, after: Path, passages: Sequence[Passage], trust_remote_code: bool = False) -> None:
    """Raises ``EvaluateError`` for passages that the models cannot read, and for those that share an id."""
    if not passages:
        raise EvaluateError("drift: no passages, so there is nothing to measure; give a text or prompts")
    ids = [passage.id for passage in passages]
    if len(set(ids)) < len(ids):
        twice = next(name for name in ids if ids.count(name) > 1)
        raise EvaluateError(f"passage {twice!r} is there twice; give each group of passages a name of its own")
    longest = max(passages, key=lambda p: len(p.ids))
    for folder in (before, after):
        room = positions(folder)
        if room is not None and len(longest.ids) > room:
            raise EvaluateError(f"passage {longest.id!r} has {len(longest.ids)} tokens, and {folder} has room for "
                                f"{room}; make the windows or the answers shorter")  # fmt: skip
    entries = _vocabulary(before, trust_remote_code)
    for passage in passages:
        if not 0 <= min(passage.ids) <= max(passage.ids) < entries:
            raise EvaluateError(f"passage {passage.id!r} has tokens outside the {entries} that {before} knows; make "
                                "the passages with this model's tokenizer")  # fmt: skip


def _tokenizer(folder: Path, trust_remote_code: bool) -> Any:
    from transformers import AutoTokenizer

    try:
        return AutoTokenizer.from_pretrained(folder, trust_remote_code=trust_remote_code)
    except (OSError, ValueError) as error:
        raise EvaluateError(f"{folder}: transformers cannot load this tokenizer: {error}") from error


def _vocabulary(folder: Path, trust_remote_code: bool) -> int:
    from transformers import AutoConfig

    try:
        config = AutoConfig.from_pretrained(folder, trust_remote_code=trust_remote_code)
    except (OSError, ValueError) as error:
        raise EvaluateError(f"{folder}: transformers cannot load this configuration: {error}") from error
    return int(config.get_text_config().vocab_size)


def _unlike_parts(left: Any, right: Any) -> list[str]:
    specs: list[dict[str, Any]] = [json.loads(each.backend_tokenizer.to_str()) for each in (left, right)]
    parts = sorted(set(specs[0]) | set(specs[1]))
    return [part for part in parts if specs[0].get(part) != specs[1].get(part)]


# --- what is kept ------------------------------------------------------------------------------------------------


def _key(models: Sequence[str], passages: Sequence[Passage], dtype: str) -> str:
    return digest([list(models), [[p.id, p.group, p.ids, p.start] for p in passages], dtype])


def _kept(path: Path | None) -> dict[str, PassageDrift]:
    """What a run that was killed had measured; a torn line ends what counts, and goes from the file."""
    if path is None or not path.is_file():
        return {}
    found: dict[str, PassageDrift] = {}
    for line in path.read_bytes().split(b"\n"):
        try:
            passage = PassageDrift.model_validate_json(line)
        except ValidationError:
            break
        found[passage.id] = passage
    write_text(path, _lines(found.values()))
    return found


def _append(path: Path | None, fresh: Sequence[PassageDrift]) -> None:
    if path is None:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        file.write(_lines(fresh))


def _lines(passages: Iterable[PassageDrift]) -> str:
    return "".join(passage.model_dump_json() + "\n" for passage in passages)


# --- groups ------------------------------------------------------------------------------------------------------


def summarise(names: tuple[str, str], dtype: str, passages: Sequence[PassageDrift], seed: int) -> Drift:
    """Passages by group, the groups in the order they first appear."""
    groups: dict[str, list[PassageDrift]] = {}
    for passage in passages:
        groups.setdefault(passage.group, []).append(passage)
    return Drift(
        before=names[0], after=names[1], dtype=dtype, passages=tuple(passages),
        groups=tuple(_group(name, mine, seed) for name, mine in groups.items()),
    )  # fmt: skip


def _group(name: str, passages: Sequence[PassageDrift], seed: int) -> GroupDrift:
    tokens = sum(p.tokens for p in passages)
    return GroupDrift(
        group=name, passages=len(passages), tokens=tokens,
        perplexity_before=perplexity(sum(p.nll_before for p in passages), tokens),
        perplexity_after=perplexity(sum(p.nll_after for p in passages), tokens),
        kl=sum(p.kl for p in passages) / tokens,
        kl_interval=interval([(p.kl, p.tokens) for p in passages], seed),
        changed=sum(p.changed for p in passages) / tokens,
        moved_most=tuple(sorted(passages, key=lambda p: (-p.mean_kl, p.id))[:MOST]),
    )  # fmt: skip


def perplexity(nll: float, tokens: int) -> float:
    """Of a loss summed over tokens, in nats; a model so broken that it would overflow gets e^700.

    >>> perplexity(0.0, 5), round(perplexity(5 * math.log(3), 5), 9)
    (1.0, 3.0)
    """
    return math.exp(min(nll / tokens, 700.0))


def interval(pairs: Sequence[tuple[float, int]], seed: int) -> tuple[float, float]:
    """Bootstrap 95 % of a mean per token, from sums and tokens of each passage. Passages are drawn, not tokens: the
    tokens of one passage are alike, and as if independent they would claim more than is known.

    >>> interval([(2.0, 4), (2.0, 4)], seed=0)
    (0.5, 0.5)
    """
    import numpy as np

    rng, table = np.random.default_rng(seed), np.array(pairs, dtype=np.float64)
    drawn = np.array([table[rng.integers(len(table), size=len(table))].sum(axis=0) for _ in range(DRAWS)])
    return middle(drawn[:, 0] / drawn[:, 1])
