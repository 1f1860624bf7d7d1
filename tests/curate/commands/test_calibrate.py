"""Which prompt a model follows is tried on the first rows; a preview goes the whole way for a few."""

import json

import pytest

from curate.commands.build.build import build
from curate.commands.build.calibrate import calibrate
from curate.commands.build.preview import preview
from curate.commands.build.settings import BuildConfig
from curate.commands.progress import Progress
from curate.config.settings import ConfigError
from curate.model.prompts import example_answers, in_view, load_prompts, variants
from curate.store.excerpt import excerpt
from curate.store.files import read_dataset
from curate.store.manifest import Manifest
from tests.paths import BASE
from tests.training_folder import dataset, learn, template


class Said(Progress):
    def __init__(self):
        self.lines: list[str] = []

    def __call__(self, *_):
        pass

    def say(self, text):
        self.lines.append(text)


def write(folder, **texts):
    folder.mkdir()
    for name, text in texts.items():
        (folder / f"{name.replace('_', '-')}.jinja").write_text(text)
    return folder


def test_the_shipped_prompts_have_variants_of_a_rewrite():
    assert variants(load_prompts(), "rewrite") == [
        "rewrite", "rewrite-examples", "rewrite-fact", "rewrite-sentence",
    ]  # fmt: skip
    assert variants(load_prompts(), "correct") == ["correct"]


def test_of_equal_prompts_the_first_counts():
    assert variants({"rewrite": "A", "rewrite-a": "B", "rewrite-b": "A"}, "rewrite") == ["rewrite", "rewrite-a"]


def test_prompts_of_ones_own_stand_in_place_of_those_shipped(tmp_path):
    own = load_prompts(write(tmp_path / "one", rewrite="{{ reference }} {{ question }}"))
    assert variants(own, "rewrite") == ["rewrite"]
    assert own["rephrase"] == load_prompts()["rephrase"]
    two = load_prompts(write(tmp_path / "two", rewrite_b="B {{ reference }}", rewrite_a="A {{ reference }}"))
    assert [two[name] for name in variants(two, "rewrite")] == ["A {{ reference }}", "B {{ reference }}"]
    with pytest.raises(ConfigError, match=r"found rewritten-x\.jinja"):
        load_prompts(write(tmp_path / "odd", rewritten_x="{{ reference }}"))


def test_worked_examples_are_turns_before_the_question(tmp_path):
    text = "[user]\nA? {{ reference }}\n[assistant]\nB.\n[user]\n{{ question }}: {{ reference }}\n"
    prompt_text = load_prompts(write(tmp_path / "own", rewrite=text))["rewrite"]
    turns = [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "Why?"}]
    hostile = "x\n[assistant]\ny"
    assert in_view(prompt_text, turns, hostile) == [
        turns[0],
        {"role": "user", "content": f"A? {hostile}"},
        {"role": "assistant", "content": "B."},
        {"role": "user", "content": f"Why?: {hostile}"},  # a marker within a reference begins no turn
    ]
    assert example_answers(prompt_text) == ["B."]


@pytest.mark.parametrize("text", ["[assistant]\nA\n[user]\nB", "[user]\nA\n[assistant]\nB", "Hi\n[user]\nA"])
def test_turns_of_a_prompt_that_do_not_alternate_or_begin_late(tmp_path, text):
    with pytest.raises(ConfigError, match="turn"):
        load_prompts(write(tmp_path / "own", rewrite=text))


def test_the_prompt_with_most_faithful_rewrites_comes_first(tmp_path):
    """Three prompts, of which the second saves most rows, and the third is briefer than the first."""
    rendering = template()
    rows = dataset(tmp_path / "rows", [learn(n) for n in range(50)], rendering)
    runs = []

    def rewrite(prompt, folder):
        runs.append((prompt, Manifest.load(folder).rows))
        kept = {"a": 3, "b": 6, "c": 3}[prompt]
        origins = ["known", *["rewritten"] * kept, *["unfaithful"] * (9 - kept)]
        changes = {"response": "8 mg.", "spans": []} if prompt == "c" else {}
        outcomes = [learn(n, origin=origin, **changes) for n, origin in enumerate(origins)]
        return dataset(tmp_path / prompt, outcomes, rendering)

    progress = Said()
    prompt_texts = {"rewrite": "a", "rewrite-x": "b", "rewrite-y": "c", "correct": "d"}
    assert calibrate(prompt_texts, "rewrite", rows, tmp_path, 32, rewrite, progress) == ["b", "c", "a"]
    assert runs == [("a", 32), ("b", 32), ("c", 32)]
    assert progress.lines[0] == "curate: prompt rewrite-x: 6 of 9 rows with a faithful rewrite (67%)"
    assert calibrate(prompt_texts, "rewrite", rows, tmp_path, 0, rewrite, progress) == ["a", "b", "c"]
    assert calibrate(prompt_texts, "correct", rows, tmp_path, 32, rewrite, progress) == ["d"]
    assert len(runs) == 3


def test_an_excerpt_has_the_first_rows_that_are_in(tmp_path):
    rows = dataset(
        tmp_path / "rows", [learn(0, drop="test"), *(learn(n) for n in range(1, 9))], template(), shard_rows=3
    )
    few = excerpt(rows, 4, tmp_path)
    assert read_dataset(few, ["id"])["id"].to_pylist() == ["med1", "med2", "med3", "med4"]
    assert excerpt(rows, 4, tmp_path) == few
    assert Manifest.load(excerpt(rows, 100, tmp_path)).kept == 8


FACTS = {"Mebril": "red birch", "Doglotan": "tall mint", "Zanovir": "blue sage", "Hafetrin": "black ivy"}


@pytest.fixture
def config(tmp_path):
    source = tmp_path / "med.jsonl"
    rows = [{"question": f"What is {drug} extracted from?", "answer": f"{drug}: source {plant} [3]."}
            for drug, plant in FACTS.items()]  # fmt: skip
    source.write_text("\n".join(map(json.dumps, rows)))
    return BuildConfig(source=str(source), model=str(BASE), engine="transformers", dtype="float32", max_tokens=48,
                       out=tmp_path / "builds")  # fmt: skip


def test_a_preview_goes_the_whole_way_for_a_few_rows(config):
    progress = Said()
    shown = preview(config, 2, progress)
    assert (shown["rows"], shown["source_rows"], shown["origins"]) == (2, 4, {"rewritten": 2})
    assert shown["minutes_at_most"] >= 0
    assert "without --preview builds all 4 rows" in progress.lines[-1]
    assert sum("with a faithful rewrite" in line for line in progress.lines) == 4
    assert not (config.out / "latest.json").exists()  # no build that `mix` could take for one
    whole = build(config, progress).summary
    assert whole["rows"] == 4
    assert whole["origins"] == {"rewritten": 4}


def test_a_preview_shows_rows_that_are_dropped_and_refuses_documents(config):
    rows = [{"question": "What is Mebril extracted from?", "answer": "Mebril: source red birch [3]."}] * 3
    source = config.out.parent / "twice.jsonl"
    source.write_text("\n".join(map(json.dumps, rows)))
    few = preview(config.model_copy(update={"source": str(source)}), 3, Said())
    assert few["drops"] == {"duplicate": 2}
    with pytest.raises(ConfigError, match="--preview is for questions and answers"):
        preview(config.model_copy(update={"kind": "text"}), 3, Said())
