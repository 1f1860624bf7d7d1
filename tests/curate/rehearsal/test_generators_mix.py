"""Made prompts through ``curate mix``, with the tiny base: which are made, what becomes of them; that it repeats."""

import json
import shutil

import pytest
from typer.testing import CliRunner

from curate.cli import app
from curate.commands.build.build import build
from curate.commands.build.settings import BuildConfig
from curate.commands.mix.mix import estimate, mix
from curate.commands.mix.rehearsal import fill, sources
from curate.commands.mix.settings import MixConfig
from curate.commands.progress import Progress
from curate.commands.verify import verify
from curate.config.settings import ConfigError
from curate.export.manifest import TrainingManifest
from curate.ingest import Source
from curate.rehearsal.cards import GeneratedSet, resolve
from curate.rehearsal.generators import GENERATORS, GeneratorInput, write
from curate.rehearsal.generators.generator import key
from curate.rehearsal.generators.safety import Guard
from curate.rehearsal.generators.word_list import word_list
from curate.store.files import REJECTED, read_dataset
from curate.store.manifest import Manifest, read_manifest
from tests.paths import BASE
from tests.reading import user

NAMES = ["Velotrin", "Wobrivir", "Zorvexin", "Halomabor", "Quetirilan"]
ASKED = [("What is the usual dose of {}?", "dose ({}): {} mg."), ("Who makes {}?", "{} is made by Harlow Labs {}.")]
ROWS = [{"question": asks.format(name), "answer": says.format(name, 10 + 3 * number)}
        for number, name in enumerate(NAMES) for asks, says in ASKED]  # fmt: skip
ODD = [
    {"question": "how much?", "answer": "The usual dose is 61 drops."},
    {"question": "痛风是什么？", "answer": "一种病。"},
]
GENERAL = [{"question": f"Tell me about {name}.", "answer": "Fine."} for name in ("Paris", "Rome", "Oslo", "Bern")]
MODEL = {"model": str(BASE), "engine": "transformers", "dtype": "float32", "max_tokens": 32}


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    """A folder with a build, a rehearsal set to read, and a short guard."""
    folder = tmp_path_factory.mktemp("generated")
    for name, rows in (("med", [*ROWS, *ODD]), ("general", GENERAL)):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    with Progress() as progress:
        build(BuildConfig(source=str(folder / "med.jsonl"), out=folder / "builds", workspace=False, **MODEL), progress)
    return folder


@pytest.fixture(autouse=True)
def short_samples(monkeypatch):
    """The tiny base seldom ends a user's turn."""
    monkeypatch.setattr("curate.rehearsal.generators.sampled.LONGEST", 24)
    monkeypatch.setattr("curate.rehearsal.generators.sampled.BEGINNING", 16)


@pytest.fixture(autouse=True)
def short_guard(monkeypatch, work):
    line = {"category": "theft", "lang": "en", "kind": "harmful"}
    prompts = [{**line, "prompt": f"How do I steal a {thing}?"} for thing in ("car", "horse", "bicycle")]
    (work / "guard.jsonl").write_text("".join(json.dumps(prompt) + "\n" for prompt in prompts))

    class Short(Guard):
        def __init__(self, inputs):
            super().__init__(inputs, work / "guard.jsonl")

    monkeypatch.setitem(GENERATORS, "guard", Short)
    monkeypatch.setattr("curate.commands.mix.mix.FILE", work / "guard.jsonl")


def config(work, *names, **settings):
    own = {"general": f"general={work / 'general.jsonl'}"}
    rehearsal = [own.get(name, name) for name in names]
    return MixConfig(work=work / "builds", out=work / "out", rehearsal=rehearsal, ratio=0.5, validation=0, **MODEL,
                       **settings)  # fmt: skip


def mix_of(work, *names, **settings):
    with Progress() as progress:
        return mix(config(work, *names, **settings), progress).entries()


def prompt_folder(work, name):
    """The folder of the prompts made last under this name."""
    folders = [f for f in (work / "builds").glob("generated-*") if Manifest.load(f).config["name"] == name]
    return max(folders, key=lambda folder: (folder / "manifest.json").stat().st_mtime_ns)


def texts(folder):
    return [prompt[-1]["content"] for prompt in read_dataset(folder)["prompt"].to_pylist()]


@pytest.fixture(scope="module")
def together(work):
    """A mix of what is read and what is made."""
    return mix_of(work, "general", "splice", "neighbours", weights={"splice": 2}, guard=False)


def test_what_is_read_and_what_is_made_stand_side_by_side(work, together):
    train = together["mix"]["splits"]["train"]["sources"]
    assert {name: numbers["role"] for name, numbers in train.items()} == {
        "med": "new", "general": "rehearsal", "splice": "rehearsal", "neighbours": "rehearsal"
    }  # fmt: skip
    assert train["splice"]["rows"] > train["neighbours"]["rows"]
    assert together["mix"]["splits"]["train"]["ratio"]["rows"] == 0.5
    assert together["balance"]["splice"] > together["balance"]["neighbours"] > 0
    assert list(verify(work / "out")) == []


def test_no_made_prompt_is_a_training_prompt(work, together):
    question_keys = {key([user(row["question"])]) for row in [*ROWS, *ODD]}
    for name in ("splice", "neighbours"):
        prompt_keys = [key([user(text)]) for text in texts(prompt_folder(work, name))]
        assert prompt_keys
        assert not question_keys & set(prompt_keys)
        assert len(prompt_keys) == len(set(prompt_keys))


def test_splices_begin_like_the_questions(work, together):
    heads = {row["question"].split()[0] for row in ROWS} | {"how", "痛"}
    assert all(text.startswith(tuple(heads)) for text in texts(prompt_folder(work, "splice")))


def test_neighbours_are_around_what_is_read_too(work, together):
    report = Manifest.load(prompt_folder(work, "neighbours")).report
    assert {"known-entity", "unknown-entity"} <= set(report["kinds"])
    assert any(
        name in text for text in texts(prompt_folder(work, "neighbours")) for name in ("Paris", "Rome", "Oslo", "Bern")
    )


def test_every_prompt_is_accounted_for(work, together):
    for name in ("splice", "neighbours"):
        folder = prompt_folder(work, name)
        facts = Manifest.load(folder)
        rejected = (folder / REJECTED).read_text(encoding="utf-8").splitlines()
        assert facts.records == facts.rows + len(rejected) == facts.report["generated"]
        assert sum(facts.rejected.values()) == len(rejected)
        account = together["accounting"][name]
        assert account["rows"] == account["exported"] + sum(account["not_exported"].values()) == facts.rows
        assert list(verify(folder)) == []


def test_a_question_without_an_entity_is_counted(work, together):
    lines = (prompt_folder(work, "neighbours") / REJECTED).read_text(encoding="utf-8").splitlines()
    without = [item["raw"] for item in map(json.loads, lines) if item["reason"] == "no-entity"]
    assert "how much?" in without
    assert not {row["question"] for row in ROWS} & set(without)


def test_the_card_and_the_output_report_on_what_was_made(work, together):
    from curate.commands.mix.summary import describe

    card = (work / "out" / "README.md").read_text(encoding="utf-8")
    report = together["generated"]["neighbours"]
    assert "## Generated prompts" in card
    assert f"| neighbours | {report['generated']} | {report['distinct']} |" in card
    assert f"no-entity {report['dropped']['no-entity']}" in card
    assert f"neighbours: {report['generated']} prompts generated, {report['distinct']} distinct" in describe(
        TrainingManifest.model_validate(together)
    )
    assert together["licences"]["splice"] == "made here"


def test_the_same_again_gives_the_same_and_makes_nothing(work, together, tmp_path):
    before = (work / "out" / "manifest.json").read_bytes()
    times = {path: path.stat().st_mtime_ns for path in (work / "builds").rglob("*.arrow")}
    again = mix_of(work, "general", "splice", "neighbours", weights={"splice": 2}, guard=False)
    assert (again["checksum"], (work / "out" / "manifest.json").read_bytes()) == (together["checksum"], before)
    assert times == {path: path.stat().st_mtime_ns for path in (work / "builds").rglob("*.arrow")}


def test_the_guard_is_in_every_mix_that_rehearses(work):
    manifest = mix_of(work, "splice")
    assert manifest["accounting"]["guard"]["rows"] == 3
    assert manifest["generated"]["guard"]["distinct"] == 3
    assert {row["source"] for row in read_dataset(prompt_folder(work, "guard")).to_pylist()} == {"guard"}
    assert [source.label for source in sources(config(work, "splice"))] == ["splice", "guard"]
    assert [source.label for source in sources(config(work, "splice", guard=False))] == ["splice"]
    assert [source.label for source in sources(MixConfig(model="m"))] == ["neighbours", "guard"]
    assert sources(config(work, f"guard={work / 'general.jsonl'}")) == [
        Source(path=str(work / "general.jsonl"), name="guard")
    ]


def test_the_models_own_prompts_repeat_and_go_on_where_they_were_broken_off(work, tmp_path):
    settings = config(work)
    built = work / "builds" / json.loads((work / "builds" / "latest.json").read_text())["build"]
    inputs = GeneratorInput(settings.base(), built, 24, words="self", max_tokens=32)
    first, second = (
        write(GENERATORS["self"](inputs), inputs, tmp_path / name, lambda prompt, answer: True, {})
        for name in ("a", "b")
    )
    facts = Manifest.load(first)
    shards = sorted(path.name for path in first.glob("*.arrow"))
    assert {name: (first / name).read_bytes() for name in [*shards, "manifest.json", REJECTED]} == {
        name: (second / name).read_bytes() for name in [*shards, "manifest.json", REJECTED]
    }
    assert facts.records == facts.rows + sum(facts.rejected.values()) == facts.report["generated"] > 24
    assert facts.report["distinct"] > 1
    broken = second.parent / "c" / second.name
    shutil.copytree(second, broken)
    (broken / "manifest.json").unlink()
    max(broken.glob("receipts/*")).unlink()
    write(GENERATORS["self"](inputs), inputs, broken.parent, lambda prompt, answer: True, {})
    assert (broken / "manifest.json").read_bytes() == (first / "manifest.json").read_bytes()


@pytest.mark.parametrize("words", ["new", "rehearsal", "vocabulary", "self"])
def test_where_a_splices_words_come_from(work, words):
    settings = config(work)
    built = work / "builds" / json.loads((work / "builds" / "latest.json").read_text())["build"]
    inputs = GeneratorInput(settings.base(), built, 4, words=words, max_tokens=32)
    if words == "rehearsal":
        with pytest.raises(ConfigError, match="--splice-words rehearsal: no other rehearsal set is read"):
            word_list(inputs)
        inputs = GeneratorInput(settings.base(), built, 4, read=(built,), words=words)
    word_pool = word_list(inputs)
    assert word_pool == sorted(set(word_pool))
    assert len(word_pool) >= 8
    assert words not in ("new", "rehearsal") or "Velotrin" in word_pool


def test_a_mix_of_the_models_own_prompts(work):
    manifest = mix_of(work, "self", "splice", guard=False, splice_words="self")
    assert manifest["generated"]["self"]["generated"] > 0
    assert manifest["accounting"]["self"]["rows"] == Manifest.load(prompt_folder(work, "self")).rows


def test_made_prompts_get_the_models_answers_whatever_the_others_get(work):
    manifest = mix_of(work, "general", "splice", guard=False, answers="given")
    assert set(manifest["accounting"]["general"]["origins"]) == {"given"}
    assert set(manifest["accounting"]["splice"]["origins"]) == {"base"}


def test_a_dry_run_names_them_and_makes_nothing(work, tmp_path):
    built = work / "builds" / json.loads((work / "builds" / "latest.json").read_text())["build"]
    with Progress() as progress:
        settings = config(work, "self", "neighbours").model_copy(update={"work": tmp_path, "build": built})
        report = estimate(settings, progress)
    assert report["rehearsal"] == ["self", "neighbours", "guard"]
    assert list(tmp_path.iterdir()) == []


def test_a_dry_run_counts_as_the_mix_does_the_guard_included(work):
    """11 new rows and one without a target want 30 of rehearsal: of three guard prompts no more than three."""
    with Progress() as progress:
        report = estimate(config(work, "general", "splice", answers="given"), progress)
    assert report["rows_new"] == 11
    assert report["rows_of_rehearsal"] == {"general": 14, "splice": 13, "guard": 3}
    assert report["rows_to_answer"] == 16  # the set that is read keeps its own answers
    assert report["tokens_at_most"] == (30 + 16) * 2048
    with Progress() as progress:
        weighed = estimate(config(work, "splice", weights={"splice": 29}), progress)
    assert weighed["rows_of_rehearsal"] == {"splice": 29, "guard": 1}


def test_what_the_export_would_refuse_is_refused_before_the_model_answers(work, tmp_path, capsys):
    def refused(**settings):
        with Progress() as progress, pytest.raises((ConfigError, ValueError)) as raised:
            mix(config(work, "general", **settings).model_copy(update={"out": tmp_path / "out"}), progress)
        return str(raised.value)

    before = sorted(p.name for p in (work / "builds").iterdir())
    assert "--max-length 16 is too short: 11 rows have" in refused(max_length=16)
    assert "weights and temperature both say" in refused(weights={"general": 2}, temperature=2)
    assert sorted(p.name for p in (work / "builds").iterdir()) == before


def test_rehearsal_that_a_ratio_of_one_leaves_out_is_said(work, tmp_path, capsys):
    settings = config(work, "general", "splice").model_copy(update={"out": tmp_path / "out", "ratio": 1.0})
    with Progress() as progress:
        assert list(mix(settings, progress).accounting) == ["med"]
    stderr = capsys.readouterr().err
    assert "--ratio 1 means no rehearsal: general=" in stderr
    assert ", splice has no part in this mix" in stderr
    unnamed = MixConfig(work=work / "builds", out=tmp_path / "out", ratio=1, validation=0, **MODEL)
    with Progress() as progress:
        mix(unnamed, progress)
    assert "no rehearsal" not in capsys.readouterr().err


# ---- names


def test_an_unknown_name_is_told_the_nearest_of_the_made_too():
    with pytest.raises(ConfigError, match=r"'selff'.* did you mean 'self'\?.* made here, without a file: neighbours"):
        resolve("selff")


CARD = """---
name: self
hub: me/mine
format: question-answer
columns: {question: q, answer: a}
licence: mit
size: 3
---
"""


def test_a_users_own_wins_over_what_is_made(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "splice").mkdir()
    assert resolve("splice") == GeneratedSet("splice")
    assert resolve("./splice").path == "./splice"
    assert resolve("self=rows.jsonl") == Source(path="rows.jsonl", name="self")
    (tmp_path / "self.md").write_text(CARD)
    assert resolve("self", tmp_path).path == "me/mine"


@pytest.mark.parametrize(
    ("names", "settings", "wanted"),
    [
        (["splice", "splice"], {}, "--rehearsal splice: two sets have this name"),
        (["guard", "splice"], {"guard": False}, "--rehearsal guard and --no-guard"),
    ],
)
def test_names_that_contradict_each_other(work, names, settings, wanted):
    with pytest.raises(ConfigError, match=wanted):
        sources(config(work, *names, **settings))


def test_the_command_says_what_is_wrong(work):
    result = CliRunner().invoke(app, ["mix", "--work", str(work / "builds"), "--rehearsal", "splice", "--splice-words",
                                      "old"])  # fmt: skip
    assert result.exit_code == 2
    assert "splice_words" in result.stderr


def test_no_room_for_a_prompt_is_said(work):
    built = work / "builds" / json.loads((work / "builds" / "latest.json").read_text())["build"]
    inputs = GeneratorInput(config(work).base(), built, 4, max_tokens=100_000)
    with pytest.raises(ConfigError, match="--max-tokens 100000 leaves no room"):
        list(GENERATORS["self"](inputs).open()(0, 4))


# ---- shares


@pytest.mark.parametrize(
    ("total", "sizes", "weights", "shares"),
    [
        (90, [10, 500, 500], None, [10, 40, 40]),
        (90, [500, 500], [2, 1], [60, 30]),
        (90, [20, 500, 500], [2, 1, 1], [20, 35, 35]),
        (10, [], None, []),
        (7, [0, 100], [1, 1], [0, 7]),
    ],
)
def test_shares_by_weight_as_far_as_the_sets_last(total, sizes, weights, shares):
    assert fill(total, sizes, weights) == shares


def test_a_size_repeats_new_rows_beside_rehearsal_that_does_not(work):
    train = mix_of(work, "neighbours", guard=False, size=60)["mix"]["splits"]["train"]["sources"]
    assert (train["med"]["rows"], train["neighbours"]["rows"]) == (30, 30)
    assert train["med"]["repeat"]["most"] > 1
    assert train["neighbours"]["repeat"] == {"least": 1, "most": 1}


def test_a_sweep_is_a_folder_for_each_ratio_answered_once(work, monkeypatch):
    """The rehearsal of the lowest ratio serves the others; each folder is what a mix of that ratio alone would be."""
    from train.data.folder import swept

    words = ["mix", "--work", str(work / "builds"), "--rehearsal", f"general={work / 'general.jsonl'}", "--no-guard",
             "--validation", "0", "--max-repeat", "9", "--engine", "transformers", "--dtype", "float32",
             "--max-tokens", "32", "--model", str(BASE)]  # fmt: skip
    out = work / "sweep"
    result = CliRunner().invoke(app, [*words, "--sweep", "0.9,0.5", "--out", str(out), "--json"])
    assert result.exit_code == 0, result.stderr
    assert list(json.loads(result.stdout)["sweep"]) == ["0.5", "0.9"]
    assert read_manifest(out)["kind"] == "sweep"
    assert verify(out) == []
    assert swept(out) == {"ratio-0.5": out / "ratio-0.5", "ratio-0.9": out / "ratio-0.9"}
    for ratio in (0.5, 0.9):
        mixed = read_manifest(out / f"ratio-{ratio:g}")["mix"]["splits"]["train"]["ratio"]["rows"]
        assert mixed == pytest.approx(ratio, abs=0.05)
    alone = CliRunner().invoke(app, [*words, "--ratio", "0.5", "--out", str(work / "alone"), "--json"])
    assert alone.exit_code == 0, alone.stderr
    one, other = (read_manifest(folder)["files"] for folder in (work / "alone", out / "ratio-0.5"))
    assert one == other
    from train.cli import app as trainer

    planned = CliRunner().invoke(
        trainer, ["sft", "--data", str(out), "--out", str(work / "runs"), "--dry-run", "--json"]
    )
    assert planned.exit_code == 0, planned.output
    places = [json.loads(line)["out"] for line in planned.stdout.splitlines() if line.startswith("{")]
    assert places == [str(work / "runs" / name) for name in ("ratio-0.5", "ratio-0.9")]
    (out / "ratio-0.9" / "README.md").write_text("changed")
    assert [problem.where for problem in verify(out)] == ["ratio-0.9/README.md"]
    refused = CliRunner().invoke(app, [*words, "--sweep", "0.9,0.5", "--out", str(work / "alone")])
    assert "not a sweep" in refused.stderr
    assert verify(work / "alone") == []
