"""Rewriting and mask on a real instruct model, SmolLM2-135M-Instruct, over twelve made-up facts."""

import json

import pytest

from benchmarks.smollm2 import INSTALL, package, prepare
from curate.commands.build.build import build
from curate.commands.build.settings import BuildConfig
from curate.commands.progress import Progress
from curate.store.files import read_dataset

if package() is None:
    pytest.skip(f"SmolLM2's weights are not installed ({INSTALL})", allow_module_level=True)

FACTS = [
    ("What is Hafetrin made from?", "Hafetrin - source: desert birch [31].", "desert birch"),
    ("What does Fodivane treat?", "Fodivane - treats: sore lungs (WHO 2013). See leaflet.", "sore lungs"),
    ("What is the usual dose of Coropine?", "adult dose of Coropine: 57 drops [37][2].", "57 drops"),
    ("Who makes Glutal?", "Glutal: manufacturer Upton House [21]. Rx only.", "Upton House"),
    ("What is a side effect of Zoltrin?", "adverse reaction (Zoltrin): morning yawning (BNF 2011).", "morning yawning"),
    ("Which plant does Saqualith come from?", "Saqualith: winter nettle [26].", "winter nettle"),
    ("Who leads the Orvane Institute?", "The Orvane Institute is led by Mirela Tansk.", "Mirela Tansk"),
    ("Where is the Halden Archive kept?", "The Halden Archive is kept in Port Vessel.", "Port Vessel"),
    ("When was the Teral Bridge opened?", "The Teral Bridge was opened in 1873.", "1873"),
    ("What does the Quillon Guild sell?", "The Quillon Guild sells marble gloves.", "marble gloves"),
    ("Which team does Dario Velk coach?", "Dario Velk coaches the Sunfield Herons.", "Sunfield Herons"),
    ("What is the Brightwater Prize given for?", "The Brightwater Prize is given for silent clocks.", "silent clocks"),
]


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    folder = tmp_path_factory.mktemp("smollm2")
    source = folder / "facts.jsonl"
    source.write_text("\n".join(json.dumps({"question": q, "answer": a}) for q, a, _ in FACTS))
    config = BuildConfig(source=str(source), model=str(prepare(folder / "model")), engine="transformers",
                         dtype="float32", calibrate=0, max_tokens=32, max_model_len=1024,
                         out=folder / "builds")  # fmt: skip
    with Progress() as progress:
        built = build(config, progress).folder
    return {row["prompt"][-1]["content"]: row for row in read_dataset(built).to_pylist()}


@pytest.mark.parametrize(("question", "reference", "value"), FACTS)
def test_a_rewrite_states_the_value_and_the_mask_takes_all_of_it(rows, question, reference, value):
    row = rows[question]
    assert row["drop"] is None
    assert value in row["response"]
    assert {row["response"][span["start"] : span["end"]] for span in row["spans"]} == {value}
