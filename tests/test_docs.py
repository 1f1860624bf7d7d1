"""What the pages say exists: files, headings, flags."""

import re

import pytest
from typer.testing import CliRunner

from curate.cli import app as curate
from curate.commands.pipeline import STEPS
from tests.paths import ROOT
from train.cli import app as train
from train.evaluation.checks import KINDS

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md",
         *sorted(page for folder in ("docs", "benchmarks") for page in (ROOT / folder).rglob("*.md"))]  # fmt: skip
LINK = re.compile(r"\]\(([^)\s]+)\)")
COMMAND = re.compile(r"(curate|python -m train) (\w+)(.*)")


def anchors(path):
    """The names that headings of a page have in links."""
    lines = path.read_text(encoding="utf-8").splitlines()
    heads = [line.lstrip("#").strip() for line in lines if line.startswith("#")]
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    for link in LINK.findall(page.read_text(encoding="utf-8")):
        if link.startswith(("http://", "https://")):
            continue
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        assert target.exists(), f"{page.name}: {link}"
        assert not anchor or anchor in anchors(target), f"{page.name}: {link}"


def test_files_that_pages_name_in_code_exist():
    named = re.compile(r"`((?:curate|train|benchmarks|tests|pipelines|data_cards)/[\w./-]+?)(?::\w+)?`")
    lost = {name for page in PAGES for name in named.findall(page.read_text(encoding="utf-8"))
            if not (ROOT / name).exists() and "NAME" not in name}  # fmt: skip
    assert lost == set()


@pytest.mark.parametrize("page", ["README.md", "benchmarks/forgetting/README.md"])
def test_a_readme_is_short(page):
    assert len((ROOT / page).read_bytes()) <= 8 * 1024


def test_the_page_on_evaluation_has_no_check_that_is_not_there():
    page = (ROOT / "docs" / "evaluation.md").read_text(encoding="utf-8")
    table = page[page.index("| kind | holds where |") :].split("\n\n")[0]
    first_cells = [line.split("|")[1] for line in table.splitlines()[2:]]
    kinds = re.findall(r"`(\w+)`", "".join(first_cells))
    assert len(kinds) > 5
    assert set(kinds) <= set(KINDS)


def test_the_readme_has_the_scores_of_the_page_on_the_demo():
    demo = (ROOT / "docs" / "demo.md").read_text(encoding="utf-8").partition("## SmolLM2")[0]
    printed = {cells[0]: cells for line in demo.splitlines() if line.startswith("    │") and (cells := row(line, "│"))}
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    table = readme[readme.index("| suite | items |") :].split("\n\n")[0]
    names = {"retention: mean of nine suites": "retention, mean"}
    for name, items, *scores in (row(line, "|") for line in table.splitlines()[2:]):
        _, count, before, ours, _, plain, _ = printed[names.get(name, name.rpartition(": ")[2])]
        assert [items.replace(",", ""), *scores] == [count, before, ours, plain], name


def row(line, edge):
    """The cells of a line of a table."""
    return [cell.strip() for cell in line.strip().strip(edge).split(edge)]


def test_every_flag_of_the_pages_exists():
    """Commands in code blocks, against the commands' own help."""
    checked = 0
    for page in PAGES:
        for line in page.read_text(encoding="utf-8").splitlines():
            match = COMMAND.match(line.split("#")[0].strip()) if line.startswith("    ") else None
            if not match:
                continue
            program, verb, rest = match.groups()
            assert verb in {**STEPS, "pretrain": "", "dedupe": "", "card": "", "peek": "", "verify": "", "run": "",
                            "schema": ""}, line  # fmt: skip
            available = help_of(program, verb)
            for flag in re.findall(r"--[a-z][a-z-]*", rest):
                assert flag in available, f"{page.name}: {line}: {flag}"
                checked += 1
    assert checked >= 20


def help_of(program, verb):
    result = CliRunner().invoke(curate if program == "curate" else train, [verb, "--help"], env={"COLUMNS": "200"})
    assert result.exit_code == 0, result.output
    return result.output
