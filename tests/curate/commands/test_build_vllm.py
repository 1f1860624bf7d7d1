"""The whole build through real vLLM: the same rows, origins, answers and marks as through transformers."""

import json

import pytest

from curate.commands.build.build import build
from curate.commands.build.settings import BuildConfig
from curate.commands.progress import Progress
from curate.model.engine import Sampling
from curate.model.template import load_template, user
from curate.store.files import read_dataset

pytestmark = pytest.mark.alone

ROWS = [
    ("What is the usual dose of Velotrana?", "Velotrana - dose: 37 mg (MoH 1998). See leaflet."),
    ("Who makes Dubrimox?", "producer: Ashby Mills [54]. Rx only."),
    ("What is Sorlavir extracted from?", "botanical source (Sorlavir): red birch [6]."),
    ("Which complaint does Tamoril help against?", "Tamoril: treats sore joints [39]."),
]


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    path = tmp_path_factory.mktemp("source") / "med.jsonl"
    path.write_text("".join(json.dumps({"question": q, "answer": a}) + "\n" for q, a in ROWS), encoding="utf-8")
    return str(path)


def rows(source, out, settings):
    with Progress() as progress:
        built = build(BuildConfig(source=source, max_tokens=48, max_drop=1, out=out, **settings), progress)
    return built.folder, read_dataset(built.folder).to_pylist()


def test_both_engines_build_the_same(source, tmp_path, vllm_engine, vllm_settings):
    _, there = rows(source, tmp_path / "there", vllm_settings)
    _, here = rows(source, tmp_path / "here", {**vllm_settings, "engine": "transformers"})
    for one, other in zip(there, here, strict=True):
        for name in ("id", "draft", "response", "origin", "drop", "token_ids"):
            assert one[name] == other[name], name
        assert [(s["start"], s["end"]) for s in one["spans"]] == [(s["start"], s["end"]) for s in other["spans"]]
        assert one["logp_closed"] == pytest.approx(other["logp_closed"], abs=1e-3)
        assert one["logp_reference"] == pytest.approx(other["logp_reference"], abs=1e-3)
        assert one["logp_placebo"] == pytest.approx(other["logp_placebo"], abs=1e-3)


def test_a_repeated_build_has_the_same_bytes(source, tmp_path, vllm_engine, vllm_settings):
    (one, _), (other, _) = (rows(source, tmp_path / name, vllm_settings) for name in ("a", "b"))
    assert one.name == other.name
    assert (one / "data-00000.arrow").read_bytes() == (other / "data-00000.arrow").read_bytes()


def test_three_hundred_sampled_rows(vllm_engine, vllm_settings):
    """More prompts than one step holds. A prompt that is cut into chunks cannot be sampled with a seed on a CPU."""
    template = load_template(vllm_settings["model"])
    questions = [f"Tell me what {number} hills, candles and clocks are good for." for number in range(300)]
    prompts = [template.prompt_ids([user(text)]) for text in questions]
    assert sum(map(len, prompts)) > 4096, "one step holds all of them, so nothing could be cut"
    hot = Sampling(12, temperature=1.5, seed=5, stop_ids=template.stop_ids)
    completions = vllm_engine.generate(prompts, hot)
    assert len(completions) == 300
    assert all(completion.ids for completion in completions)
    assert len({completion.ids for completion in completions}) > 100
    assert completions == vllm_engine.generate(prompts, hot)
