"""The pages: complete, escaped, and showing in a real browser what the results say."""

import json
import shutil
import subprocess
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from train.evaluation.compare import compare, wilson
from train.evaluation.results import (
    RESULTS,
    Answer,
    Conditions,
    EvaluateError,
    ModelScore,
    Results,
    SuiteScore,
    write_text,
)
from train.evaluation.suites import Item, Suite
from train.report.pages import MOST_FLIPS, Axis, axis_start, differences, report_command, write_report

EVIL = "<script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">"
CONDITIONS = Conditions(
    items="i",
    prompts="p",
    stop_ids=(2,),
    max_tokens=96,
    engine="transformers",
    engine_version="5.0",
    dtype="auto",
)


def suite(name: str, items: int, prompt: str = "2 + 2?") -> Suite:
    row = {
        "suite": name,
        "role": "new" if name == "new_facts" else "retention",
        "prompt": prompt,
        "checks": [{"kind": "contains", "value": "4"}],
        "expected": "It is 4.",
    }
    return Suite(name, tuple(Item.model_validate({"id": f"{name}-{n}", **row}) for n in range(items)))


def answers(one: Suite, right: int, wrong: str = "It is 5.") -> list[Answer]:
    """The first ``right`` items right."""
    return [
        Answer(id=item.id, answer="It is 4." if n < right else wrong, finished=True, repeated=False, correct=n < right,
               score=float(n < right), n_tokens=4, lenient=n < right)
        for n, item in enumerate(one.items)
    ]  # fmt: skip


def results(suites: list[Suite], models: dict[str, list[int]], wrong: str = "It is 5.") -> Results:
    """``models``: how many items each has right in each suite."""
    answers_of = {
        m: {s.name: answers(s, n, wrong) for s, n in zip(suites, rights, strict=True)} for m, rights in models.items()
    }
    scores = [
        ModelScore(name=name, path=f"runs/{name}", hash="0" * 16, suites=tuple(
            SuiteScore(suite=s.name, items=len(s.items), correct=n, score=n / len(s.items), lenient=n / len(s.items),
                       interval=wilson(n, len(s.items)), generated=len(s.items), unfinished=0, repeated=0,
                       tokens=4 * len(s.items), conditions=CONDITIONS)
            for s, n in zip(suites, rights, strict=True)
        ))
        for name, rights in models.items()
    ]  # fmt: skip
    knowledge = [s.name for s in suites if s.role == "new"]
    return Results(
        settings={"seed": 0, "limit": None}, suite_files=("suites",), versions={"transformers": "5.0"},
        models=tuple(scores),
        comparisons=tuple(compare(scores[0], score, answers_of, suites, knowledge, 0) for score in scores[1:]),
    )  # fmt: skip


def save(folder: Path, result: Results) -> Path:
    write_text(folder / RESULTS, result.model_dump_json())
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    suites = [suite("lists", 40), suite("new_facts", 30, prompt=f"2 + 2? {EVIL}"), suite("sums", 50)]
    result = results(suites, {"before": [40, 0, 49], "ours": [40, 29, 48], "sft": [10, 20, 5]}, wrong=EVIL)
    return save(tmp_path / "report", result)


class Page(HTMLParser):
    """Tags, links, and the text by the tag that holds it."""

    def __init__(self, text: str):
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.words = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [f"{name}={value}" for name, value in attrs if name in ("src", "href", "srcset", "action")]
        assert not any(name.startswith("on") for name, _ in attrs)

    def handle_data(self, data: str) -> None:
        self.words += data


def test_the_page_says_what_the_results_say(folder: Path) -> None:
    html, markdown = write_report(folder)
    page = Page(html.read_text(encoding="utf-8"))
    words = " ".join(page.words.replace("\u00a0", " ").split())
    assert "ours answers 96.7 % of the questions on new knowledge, before answered 0.0 %." in words
    assert "Retention went from 99.0 to 98.0 % (−1.0 points" in words  # (100 + 98) / 2 to (100 + 96) / 2
    assert "significant falls in lists, sums; the largest fall is sums, −88.0." in words
    assert page.tags.count("svg") >= 2 * (3 + 2)  # a plot for each suite and each mean, twice
    text = markdown.read_text(encoding="utf-8")
    assert "| sums | 50 | 98.0 | 96.0 | −2.0 |" in text
    assert "| **mean, new knowledge** | 30 | **0.0** | **96.7** | **+96.7** |" in text


def test_model_answers_stay_text(folder: Path) -> None:
    html = write_report(folder)[0].read_text(encoding="utf-8")
    page = Page(html)
    assert "script" not in page.tags
    assert "img" not in page.tags
    assert EVIL in page.words
    assert "&lt;script&gt;document" in html


def test_the_page_needs_nothing_else(folder: Path) -> None:
    html = write_report(folder)[0].read_text(encoding="utf-8")
    page = Page(html)
    assert page.links == []
    assert "link" not in page.tags
    assert "url(" not in html
    assert "@import" not in html
    assert "default-src 'none'" in html
    assert "prefers-color-scheme: dark" in html
    assert "width=device-width" in html


def test_more_flips_than_a_page_can_bear_are_counted(tmp_path: Path) -> None:
    save(tmp_path, results([suite("sums", MOST_FLIPS + 25)], {"before": [MOST_FLIPS + 25], "after": [0]}))
    html = write_report(tmp_path)[0].read_text(encoding="utf-8")
    assert html.count("<article") == MOST_FLIPS
    assert "25 more in results.json" in html


def test_one_model_or_no_flip_make_a_page_too(tmp_path: Path) -> None:
    save(tmp_path, results([suite("sums", 5)], {"before": [4]}))
    assert "80.0" in Page(write_report(tmp_path)[0].read_text(encoding="utf-8")).words
    save(tmp_path, results([suite("sums", 5)], {"before": [4], "after": [4]}))
    assert "every item is right in both, or wrong in both" in write_report(tmp_path)[0].read_text(encoding="utf-8")


@pytest.fixture
def command(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[int, str, str]]:
    """Called beside the folder ``report``."""
    monkeypatch.chdir(folder.parent)
    app = typer.Typer()
    app.command()(report_command)

    def call(*arguments: str) -> tuple[int, str, str]:
        result = CliRunner().invoke(app, arguments)
        return result.exit_code, result.stdout, result.stderr

    return call


def test_the_command(command: Callable[..., tuple[int, str, str]]) -> None:
    assert command() == (0, "report/report.html\nreport/report.md\n", 'defaults taken: folder="report"\n')
    assert command("report", "--out=page.html") == (0, "page.html\npage.md\n", "defaults taken: none\n")
    Path("c.yaml").write_text("folder: report\nout: there.html\n")
    code, out, _ = command("--config=c.yaml", "--out=here.html", "--json")
    assert code == 0
    assert json.loads(out) == {
        "results": "report/results.json",
        "html": "here.html",
        "markdown": "here.md",
        "cards": [],
    }


def test_the_card_of_a_trained_model_is_filled_in_and_no_other(tmp_path: Path) -> None:
    """Of the models that are compared one was trained here; the card of a model from elsewhere is left alone."""
    ours, other = tmp_path / "ours", tmp_path / "other"
    for model in (ours, other):
        model.mkdir()
        (model / "README.md").write_text(
            "kept\n<!-- evaluation:begin -->\nnothing\n<!-- evaluation:end -->\nkept too\n"
        )
    (ours / "run.json").write_text("{}")
    result = results(
        [suite("lists", 40), suite("new_facts", 30)], {"before": [40, 0], "ours": [38, 29], "other": [9, 9]}
    )
    models = tuple(m.model_copy(update={"path": str(tmp_path / m.name)}) for m in result.models)
    report = save(tmp_path / "report", result.model_copy(update={"models": models}))
    assert write_report(report)[2:] == [ours / "README.md"]
    write_report(report)  # again: replaced, not added
    card = (ours / "README.md").read_text()
    assert card.startswith("kept\n<!-- evaluation:begin -->\n")
    assert card.endswith("<!-- evaluation:end -->\nkept too\n")
    assert card.count("| lists | 40 | 100.0 | 95.0 |") == 1
    assert "nothing" in (other / "README.md").read_text()


def test_the_command_ends_with_2_and_a_sentence(command: Callable[..., tuple[int, str, str]]) -> None:
    Path("empty").mkdir()
    Path("half/before").mkdir(parents=True)
    Path("half/after").mkdir()
    Path("half/before/sums.receipt.json").write_text("{}")
    Path("half/after/sums.part").write_text("")
    Path("torn").mkdir()
    Path("torn/results.json").write_text('{"settings": {}, "mod')
    Path("c.yaml").write_text("foldr: report\n")
    for arguments, message in [
        (["empty"], "empty/results.json: no such file; run `python -m train evaluate --out empty …` first"),
        (["none"], "none: no such folder; give the folder that `python -m train evaluate --out FOLDER …` wrote"),
        (["report/results.json"], "report/results.json: a file; give the folder"),
        (["half"], "half: answers of after, before and no results.json, so the evaluation did not finish; give its "
                   "command (`python -m train evaluate … --out half`) again"),
        (["torn"], "torn/results.json: not what `evaluate` writes: the file: Invalid JSON"),
        (["report", "--out=page.md"], "should end with .html"),
        (["--config=c.yaml"], "unknown key 'foldr'; did you mean 'folder'?"),
    ]:  # fmt: skip
        code, _, log = command(*arguments)
        assert code == 2
        assert message in log


def test_foreign_results_are_refused(tmp_path: Path) -> None:
    (tmp_path / RESULTS).write_text('{"settings": {}}')
    with pytest.raises(EvaluateError, match="not what `evaluate` writes: suite_files: Field required"):
        write_report(tmp_path)


def test_scale() -> None:
    assert Axis(0.8).at(0.9) == "50.00%"
    assert Axis(0.8).width((0.9, 1.0)) == "50.00%"
    assert [axis_start(x) for x in (1.0, 0.8, 0.79, 0.0)] == [0.8, 0.8, 0.6, 0.0]


def test_highlighting_loses_no_character() -> None:
    for text, other in [("a b  c", "a x c"), ("", "a"), ("only here", ""), ("<b> & x", "<b> and x")]:
        assert "".join(piece for _, piece in differences(text, other)) == text
    assert list(differences("nothing at all alike", "5")) == [(False, "nothing at all alike")]


CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


@pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed; the page is parsed, but not looked at")
def test_a_browser_shows_it_and_runs_nothing(folder: Path, tmp_path: Path) -> None:
    html = write_report(folder)[0]
    assert CHROMIUM is not None
    common = [
        CHROMIUM,
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--no-first-run",
        "--disable-background-networking",
        f"--user-data-dir={tmp_path / 'profile'}",
    ]
    shot = tmp_path / "page.png"
    dom = subprocess.run(
        [*common, "--window-size=1200,900", f"--screenshot={shot}", "--dump-dom", html.as_uri()],
        capture_output=True, text=True, check=True, timeout=300,
    ).stdout  # fmt: skip
    page = Page(dom)
    assert "<title>Evaluation: before, ours, sft</title>" in dom  # a script that ran would have renamed it
    assert "script" not in page.tags
    assert EVIL in page.words
    assert len(set(shot.read_bytes())) > 200
    assert shot.stat().st_size > 20_000
