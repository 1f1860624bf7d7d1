"""Data cards: those that adapt rehearsal sets, and the one that every training folder gets."""

import json
import shutil
from collections import Counter
from pathlib import Path

import pytest
from typer.testing import CliRunner

from curate.cli import app
from curate.commands.evaluated import put_evaluation
from curate.commands.verify import verify
from curate.config.settings import ConfigError
from curate.export.card import render
from curate.export.folder import mix_and_export
from curate.export.manifest import TrainingManifest
from curate.ingest import Accepted, read_source
from curate.mixture.settings import MixtureConfig
from curate.rehearsal.cards import cards, licence, read_card, resolve, shipped
from tests.paths import DATA, ROOT, needs_data
from tests.training_folder import FACTS, dataset, hold, learn, template

# ---- cards of rehearsal sets


def test_the_four_cards_are_adapters():
    cards_by_name = cards()
    assert shipped() == ROOT / "data_cards"
    assert {name: (card.hub, card.split, card.licence) for name, card in cards_by_name.items()} == {
        "alpaca": ("tatsu-lab/alpaca", "train", "cc-by-nc-4.0"),
        "dolly": ("databricks/databricks-dolly-15k", "train", "cc-by-sa-3.0"),
        "slimorca": ("Open-Orca/SlimOrca", "train", "mit"),
        "ultrachat": ("HuggingFaceH4/ultrachat_200k", "train_sft", "mit"),
    }
    for name in cards_by_name:
        assert "**What is wrong with it.**" in (shipped() / f"{name}.md").read_text()


def test_a_name_a_name_with_a_file_and_a_file():
    hub = resolve("ultrachat")
    assert (hub.path, hub.name, hub.split) == ("HuggingFaceH4/ultrachat_200k", "ultrachat", "train_sft")
    local = resolve("alpaca=my/rows.json")
    assert (local.path, local.name, local.columns) == ("my/rows.json", "alpaca", {})
    other = resolve("mine=a=b.json")
    assert (other.path, other.name) == ("a=b.json", "mine")
    assert resolve("owner/set").path == "owner/set"
    assert resolve("rows.jsonl").label == "rows"


def test_an_unknown_name_is_told_the_nearest():
    with pytest.raises(
        ConfigError, match=r"'doly': no data card .* did you mean 'dolly'\? cards: alpaca, dolly, slimorca"
    ):
        resolve("doly")
    with pytest.raises(ConfigError, match="name=path"):
        resolve("zzzzzz")


OWN = """---
name: {name}
hub: me/mine
format: question-answer
columns: {{question: frage, answer: antwort}}
licence: mit
size: 3
{more}---
# Mine
"""


def test_own_cards_add_sets_and_win(tmp_path):
    (tmp_path / "mine.md").write_text(OWN.format(name="mine", more=""))
    (tmp_path / "dolly.md").write_text(OWN.format(name="dolly", more=""))
    assert resolve("mine", tmp_path).columns == {"question": "frage", "answer": "antwort"}
    assert resolve("dolly", tmp_path).path == "me/mine"
    assert resolve("alpaca", tmp_path).path == "tatsu-lab/alpaca"
    assert [licence(name, tmp_path) for name in ("dolly", "alpaca", "med")] == ["mit", "cc-by-nc-4.0", "unknown"]
    rows = tmp_path / "rows.jsonl"
    rows.write_text(json.dumps({"frage": "Wer?", "antwort": "Ich."}))
    row = next(iter(read_source(resolve(f"mine={rows}", tmp_path))))
    assert isinstance(row, Accepted)
    assert (row.row["source"], row.row["reference"]) == ("mine", "Ich.")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("no front matter", "begins with front matter"),
        ("---\na: [\n---\n", "not readable as YAML"),
        (OWN.format(name="bad", more="sise: 3\n"), "sise: Extra inputs"),
        (OWN.format(name="other", more=""), "called 'other'"),
        (OWN.format(name="bad", more="").replace("frage", "frage, qestion: x"), "did you mean 'question'"),
        (OWN.format(name="bad", more="").replace("question-answer", "qa"), "format"),
    ],
)
def test_a_bad_card_says_where_and_why(tmp_path, text, message):
    (tmp_path / "bad.md").write_text(text)
    with pytest.raises((ConfigError, ValueError), match=message):
        read_card(tmp_path / "bad.md")


def rows_of(spec):
    items = list(read_source(resolve(spec)))
    return [r.row for r in items if isinstance(r, Accepted)], Counter(
        r.reason for r in items if not isinstance(r, Accepted)
    )


@needs_data
def test_real_rows_through_their_cards():
    rows, rejected = rows_of(f"alpaca={DATA}/rehearsal/alpaca_5000.json")
    assert (len(rows), rejected) == (4998, {"empty-answer": 2})
    rows, rejected = rows_of(f"ultrachat={DATA}/rehearsal/ultrachat_1000.jsonl")
    assert (len(rows), rejected) == (1000, {})
    assert {len(row["prompt"]) for row in rows} == {3, 5, 7, 9}
    rows, rejected = rows_of(f"dolly={DATA}/rehearsal/dolly_15k.jsonl")
    assert (len(rows), rejected) == (15015, {})
    assert "two aircraft on a single route." in rows[0]["prompt"][-1]["content"]
    assert "[3]" not in rows[0]["prompt"][-1]["content"]
    assert {row["source"] for row in rows} == {"dolly"}


def test_slimorca_rows_in_its_schema(tmp_path):
    turns = [("system", "You are helpful."), ("human", "What is 2 + 2?"), ("gpt", "It is 4.")]
    row = {"conversations": [{"from": f, "value": v, "weight": float(f == "gpt")} for f, v in turns]}
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps(row))
    rows, rejected = rows_of(f"slimorca={path}")
    assert rejected == {}
    assert [m["role"] for m in rows[0]["prompt"]] == ["system", "user"]
    assert rows[0]["reference"] == "It is 4."


# ---- the card of a training folder


@pytest.fixture(scope="module")
def export(tmp_path_factory):
    root, rendering = tmp_path_factory.mktemp("card"), template()
    rows = [learn(i) for i in range(20)] + [learn(30, response="Say ```` [[x]] \x1b[31m", spans=[], finished=False)]
    rows += [learn(31, drop="duplicate")]
    build = dataset(root / "build", rows, rendering)
    sets = [dataset(root / "dolly", [hold(i) for i in range(30)], rendering)]
    config = MixtureConfig(ratio=0.7, validation=0.1)
    return mix_and_export(build, sets, rendering, config, root / "out", FACTS).entries(), root / "out"


def card_of(entries):
    return render(TrainingManifest.model_validate(entries))


def test_the_hub_accepts_the_front_matter(export):
    from huggingface_hub import DatasetCard

    data = DatasetCard.load(export[1] / "README.md").data
    assert data.configs == [{"config_name": "default", "data_files": [
        {"split": "train", "path": "train/data-*.arrow"}, {"split": "validation", "path": "validation/data-*.arrow"},
    ]}]  # fmt: skip
    assert data.license == "unknown"  # one of two is not stated
    assert data.size_categories == ["n<1K"]


def test_the_card_says_what_the_manifest_says(export):
    manifest, out = export
    text = (out / "README.md").read_text()
    train = manifest["splits"]["train"]
    assert f"{train['rows']:,} rows, {train['tokens']:,} tokens, {train['targets']:,} of them trained" in text
    ratio = manifest["mix"]["splits"]["train"]["ratio"]
    assert f"| train | {ratio['rows']:.4f} | {ratio['tokens']:.4f} | {ratio['targets']:.4f} |" in text
    assert "22 rows = 20 exported + 2 not (duplicate 1, no-target 1)" in text
    assert "| dolly | rehearsal | 8 |" in text
    assert "| 0.3000 | cc-by-sa-3.0 |" in text
    assert text.count("```text\nQ: ") == 3
    assert "The dose of drug" in text
    assert all(f"The dose of drug{e['id'][3:]} is [[{int(e['id'][3:]) + 1} mg]] a day." in text
               for e in manifest["examples"] if e["objective"] == "learn")  # fmt: skip
    assert all(word in text for word in ("SFTTrainer(", "tokenized_path: out", "path: out", "DataCollatorForSeq2Seq"))
    assert "Licence: unknown; that of med is not stated; whoever publishes this has to know it." in text
    assert card_of(manifest) == text  # from the manifest alone, and the same each time


def test_the_card_that_is_committed_is_the_one_that_is_rendered():
    """Of a folder with all there is to say of one. To write it again: ``render`` of the manifest beside it."""
    folder = ROOT / "tests" / "data" / "card"
    assert render(TrainingManifest.load(folder)) == (folder / "README.md").read_text()


def test_licences_are_told_later_and_the_strictest_wins(export, tmp_path):
    out = Path(shutil.copytree(export[1], tmp_path / "out"))
    say = CliRunner()
    assert say.invoke(app, ["card", str(out), "--licence", "med=cc-by-4.0"]).exit_code == 0
    text = (out / "README.md").read_text()
    assert "license: cc-by-sa-3.0" in text
    assert "Licence: cc-by-sa-3.0; that of dolly, the strictest of cc-by-4.0, cc-by-sa-3.0." in text
    assert verify(out) == []
    assert "no source of this name" in say.invoke(app, ["card", str(out), "--licence", "law=mit"]).stderr
    (out / "README.md").write_text("my own")
    refused = say.invoke(app, ["card", str(out)])
    assert (refused.exit_code, "--force" in refused.stderr) == (2, True)
    assert say.invoke(app, ["card", str(out), "--force"]).exit_code == 0
    assert (out / "README.md").read_text() == text


def test_text_from_the_data_cannot_break_out_of_its_example(export):
    manifest = json.loads(json.dumps(export[0]))
    manifest["examples"][0] |= {"response": "````\n# Not a heading \x1b[31m", "spans": [], "question": "q"}
    text = card_of(manifest)
    assert "`````text\nQ: q\n\nA: ````\n# Not a heading \\x1b[31m\n`````" in text
    assert "\x1b" not in text


def test_an_evaluation_goes_into_the_card_and_the_folder_stays_whole(export, tmp_path):
    manifest, folder = export
    out = Path(shutil.copytree(folder, tmp_path / "out"))
    name = manifest["fingerprint"]
    assert put_evaluation(out, "of another export", "med", "words") is None
    assert put_evaluation(tmp_path / "nowhere", name, "med", "words") is None
    assert (out / "manifest.json").read_bytes() == (folder / "manifest.json").read_bytes()
    for words in ("| lists | 40 |", "| lists | 41 |"):  # the later one replaces the earlier one
        assert put_evaluation(out, name, "med", words) == out / "README.md"
    put_evaluation(out, name, "law", "| lists | 7 |")
    text = (out / "README.md").read_text()
    assert (text.count("| lists | 40 |"), text.count("| lists | 41 |"), text.count("| lists | 7 |")) == (0, 1, 1)
    assert text.index("## Trained on it: law") < text.index("## Trained on it: med") < text.index("## Examples")
    assert verify(out) == []
    assert render(TrainingManifest.load(out)) == text
    (out / "README.md").write_text(text + "my own words\n")
    assert put_evaluation(out, name, "med", "words") is None  # what a person wrote is not written over
    assert (out / "README.md").read_text().endswith("my own words\n")


def test_the_snippets_in_the_card_are_valid_code(export):
    import ast

    import yaml

    text = (export[1] / "README.md").read_text()
    blocks = [block.split("\n", 1) for block in text.split("```")[1::2]]
    kinds = Counter(kind for kind, _ in blocks)
    assert (kinds["python"], kinds["yaml"]) == (2, 2)
    for kind, body in blocks:
        if kind == "python":
            ast.parse(body)
        if kind == "yaml":
            assert isinstance(yaml.safe_load(body), dict)


def settings(manifest, trainer):
    """The YAML that the card shows for this trainer."""
    import yaml

    return yaml.safe_load(card_of(manifest).split(f"{trainer}\n\n```yaml\n")[1].split("```")[0])


def test_the_settings_that_axolotl_refuses_to_start_without(export):
    axolotl = settings(export[0], "Axolotl")
    assert axolotl["datasets"] == [{"path": "out", "split": "train", "type": None}]
    assert axolotl["test_datasets"] == [{"path": "out", "split": "validation", "type": None}]
    assert (axolotl["learning_rate"], axolotl["sequence_len"], axolotl["output_dir"]) == (1e-5, 200, "model")


def test_axolotl_prepares_another_export_anew(export):
    """Its cache is named after the folder's path, so the rows of an earlier export would be trained."""
    other = export[0] | {"fingerprint": "0123456789ab"}
    assert settings(other, "Axolotl")["dataset_prepared_path"] == "prepared/0123456789ab"
    assert settings(export[0], "Axolotl")["dataset_prepared_path"] == f"prepared/{export[0]['fingerprint']}"


def test_the_settings_that_make_llama_factory_train_all_weights_on_the_folder(export):
    assert settings(export[0], "LLaMA-Factory") == {
        "model_name_or_path": "tiny",
        "stage": "sft",
        "do_train": True,
        "finetuning_type": "full",
        "tokenized_path": "out",
        "dataset": "out",
        "eval_dataset": "out",
        "eval_strategy": "epoch",
        "learning_rate": 1e-5,
        "output_dir": f"model/{export[0]['fingerprint']}",  # checkpoints there would be resumed
    }


def test_without_validation_no_trainer_is_told_to_evaluate(export):
    manifest = export[0] | {"splits": {"train": export[0]["splits"]["train"]}}
    text = card_of(manifest)
    assert "test_datasets" not in settings(manifest, "Axolotl")
    assert not {"eval_dataset", "eval_strategy"} & set(settings(manifest, "LLaMA-Factory"))
    assert "eval_dataset" not in text
