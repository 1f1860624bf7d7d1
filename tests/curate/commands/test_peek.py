"""What one sees is what trains, and data is shown without ever steering the terminal."""

import io

import pytest
from rich.console import Console

from curate.commands.peek import peek, pieces
from curate.export.folder import mix_and_export
from curate.mixture.settings import MixtureConfig
from curate.store.json_files import DatasetError
from tests.paths import DATA, needs_data
from tests.training_folder import FACTS, ask, dataset, hold, learn, template

NASTY = "Say [bold red]hi[/] \x1b[31mred\x07 \u202eevil."


@pytest.fixture(scope="module")
def rendering():
    return template()


@pytest.fixture(scope="module")
def work(tmp_path_factory, rendering):
    root = tmp_path_factory.mktemp("peek")
    spans = [
        {"start": 0, "end": 3, "weight": 1.0, "kind": "key"},
        {"start": 14, "end": 16, "weight": 0.5, "kind": "key"},
    ]
    rows = [learn(0), learn(1, origin="reference"), learn(2, response=NASTY, spans=spans, prompt=ask("Q [link]?"))]
    rows += [learn(3, drop="duplicate"), learn(4, drop="duplicate"), learn(5, drop="contradiction")]
    build = dataset(root / "build", rows, rendering)
    dolly = dataset(root / "dolly", [hold(i) for i in range(9)], rendering)
    mix_and_export(build, [dolly], rendering, MixtureConfig(validation=0), root / "out", FACTS)
    return root


def shown(folder, colour=False, **options):
    file = io.StringIO()
    console = Console(file=file, force_terminal=colour, color_system="truecolor" if colour else None, width=200)
    peek(folder, console=console, **options)
    return file.getvalue()


def test_a_training_folder_token_by_token(work, rendering):
    text = shown(work / "out", rows=9, template=rendering)
    assert (
        "What is the dose of drug0?<|im_end|>\n<|im_start|>assistant\nThe dose of drug0 is[[ 1 mg]] a day.<|im_end|>"
        in text
    )
    assert "The dose of drug1 is[[ 2 mg]] a day.[[<|im_end|>]]" in text
    assert "med med0 · rewritten · learn · 5 of " in text
    assert "[[Of course! " in text
    assert "left out: 11 rows" in text
    assert "not-sampled: 8\nduplicate: 2\n  med med3\n  Q: What is the dose of drug3?\n  A: The dose" in text


def test_a_dataset_folder_with_its_spans(work):
    text = shown(work / "build")
    assert "What is the dose of drug0?\nThe dose of drug0 is [[1 mg]] a day.\n" in text
    assert text.endswith(
        "left out: 3 rows\nduplicate: 2\n  med med4\n  Q: What is the dose of drug4?\n"
        "  A: The dose of drug4 is 5 mg a day.\ncontradiction: 1\n  med med5\n"
        "  Q: What is the dose of drug5?\n  A: The dose of drug5 is 6 mg a day.\n"
    )


def test_rows_of_one_reason(work):
    text = shown(work / "build", drop="duplicate")
    assert ("med3" in text, "med4" in text, "med5" in text, "med0" in text) == (True, True, False, False)
    assert "left out: 3 rows\nduplicate: 2" in text
    with pytest.raises(
        DatasetError, match="no row was left out for 'duplicat'; reasons here: contradiction, duplicate"
    ):
        shown(work / "build", drop="duplicat")
    assert "curate peek` on the build shows more" in shown(work / "out", drop="duplicate")


@pytest.mark.parametrize("folder", ["build", "out"])
@pytest.mark.parametrize("colour", [True, False])
def test_data_is_shown_and_never_interpreted(work, rendering, folder, colour):
    text = shown(work / folder, colour, rows=9, template=rendering)
    assert "[bold red]" in text
    assert "[/] " in text
    assert "Q [link]?" in text
    assert "\\x1b[31mred\\x07 \\u202eevil." in text
    assert "\x07" not in text
    assert "\u202e" not in text
    assert ("\x1b" in text) == colour


def test_weights_are_colours_on_a_terminal(work, rendering):
    text = shown(work / "out", colour=True, rows=9, template=rendering)
    assert "\x1b[1;30;48;2;90;220;90m 1 mg\x1b[0m" in text
    assert "\x1b[1;30;48;2;90;220;90mSay\x1b[0m [bold red]\x1b[1;30;48;2;170;200;90mhi\x1b[0m[/]" in text
    assert "[[" not in text


def test_no_color_is_respected(work, rendering, monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    file = io.StringIO()
    peek(work / "out", 9, console=Console(file=file, force_terminal=True, width=200), template=rendering)
    assert "[[ 1 mg]]" in file.getvalue()
    assert "\x1b[3" not in file.getvalue()


def test_the_seed_chooses(work, rendering):
    first, again, other = (shown(work / "out", rows=2, seed=s, template=rendering) for s in (0, 0, 3))
    assert first == again != other


def test_a_tokenizer_that_is_not_there_or_another_is_refused(work, rendering, monkeypatch):
    def missing(*_):
        raise OSError("no such model")

    monkeypatch.setattr("curate.commands.peek.load_template", missing)
    with pytest.raises(DatasetError, match=r"tokenizer of tiny, .* cannot be loaded: no such model"):
        shown(work / "out")
    monkeypatch.setattr("curate.commands.peek.load_template", lambda *_: rendering)
    assert "[[ 1 mg]]" in shown(work / "out", rows=9)
    other = template()
    other.tokenizer.add_tokens(["mg"])
    monkeypatch.setattr("curate.commands.peek.load_template", lambda *_: other)
    with pytest.raises(DatasetError, match="not the one that this dataset was made with"):
        shown(work / "out")


def test_characters_of_several_tokens_are_one_piece(rendering):
    ids = rendering.tokenizer("a😀é!")["input_ids"]
    assert len(ids) == 8
    assert pieces(rendering.tokenizer, ids, [0, 0, 1, 0, 0, 0, 0.5, 1]) == [("a", 0), ("😀", 1), ("é", 0.5), ("!", 1)]
    assert pieces(rendering.tokenizer, ids[:3], [0, 0, 1]) == [("a", 0), ("\ufffd", 1)]
    assert pieces(rendering.tokenizer, [], []) == []


@needs_data
@pytest.mark.parametrize("name", ["qwen2.5", "phi3_mini", "smollm2", "tinyllama"])
def test_pieces_add_up_to_the_text_with_real_tokenizers(name):
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(str(DATA / "tokenizers" / name))
    text = "Nhiễm trùng  tăng — 5 mg/kg, 痛风 👩‍⚕️\n\nand  so on."
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    parts = pieces(tokenizer, ids, [i % 2 for i in range(len(ids))])
    whole = tokenizer.decode(ids, clean_up_tokenization_spaces=False)
    assert "".join(piece for piece, _ in parts) == whole
    assert "\ufffd" not in whole
    assert len(parts) > 12


def test_a_shard_without_a_chosen_row_is_no_trouble(tmp_path, rendering, monkeypatch):
    monkeypatch.setattr("curate.export.folder.SHARD_ROWS", 2)
    build = dataset(tmp_path / "build", [learn(i) for i in range(9)], rendering)
    mix_and_export(build, [], rendering, MixtureConfig(validation=0, ratio=1), tmp_path / "out", FACTS)
    assert len(list((tmp_path / "out" / "train").glob("*.arrow"))) == 5
    assert shown(tmp_path / "out", rows=1, template=rendering).count(" · learn · ") == 1
