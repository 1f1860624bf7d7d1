"""The site of docs/: it builds without a warning or a network, its links lead somewhere, nothing is fetched."""

import os
import re
import subprocess
import sys
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from curate.cli import app
from curate.config.flags import flag_commands
from tests.paths import ROOT
from tests.test_layers import FLOW
from train.cli import app as train

for library in ("mkdocs", "material", "mkdocstrings"):
    pytest.importorskip(library, reason=f"{library} is not installed: pip install -e '.[docs]'")

VERBS = {"curate": app, "train": train}
FETCHED = {
    ("script", "src"),
    ("img", "src"),
    ("iframe", "src"),
    ("source", "src"),
    ("video", "src"),
    ("object", "data"),
}
FETCHED_LINKS = {"stylesheet", "icon", "preload", "preconnect", "modulepreload", "prefetch", "dns-prefetch"}


class Page(HTMLParser):
    """What a page points at, what a browser fetches for it, and which anchors it has."""

    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []
        self.fetched: list[str] = []
        self.anchors: set[str] = set()

    def handle_starttag(self, tag, attrs):
        attributes = {key: value or "" for key, value in attrs}
        self.anchors |= {attributes[key] for key in ("id", "name") if key in attributes}
        self.links += [attributes["href"]] if tag == "a" and "href" in attributes else []
        self.fetched += [value for key, value in attributes.items() if (tag, key) in FETCHED]
        if tag == "link" and FETCHED_LINKS & set(attributes.get("rel", "").split()):
            self.fetched.append(attributes.get("href", ""))


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The built site. The proxies lead nowhere: a build that asks the network fails. With --quiet, --strict counts no
    warning."""
    folder = tmp_path_factory.mktemp("site")
    nowhere = dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), "http://127.0.0.1:9")
    result = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", folder],
        cwd=ROOT, env=os.environ | nowhere | {"NO_MKDOCS_2_WARNING": "1"}, capture_output=True, text=True,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    return folder


@cache
def parsed(path: Path) -> Page:
    page = Page()
    page.feed(path.read_text(encoding="utf-8"))
    return page


def pages(site: Path) -> list[Path]:
    paths = sorted(path for path in site.rglob("*.html") if path.name != "404.html")
    assert len(paths) > 60
    return paths


def test_links_lead_somewhere(site):
    """Files and, of pages, anchors. Links to other sites are not followed."""
    checked, lost = 0, []
    for path in pages(site):
        for link in [*parsed(path).links, *parsed(path).fetched]:
            address = urlsplit(link)
            if address.scheme or address.netloc:
                continue
            target = (path.parent / unquote(address.path)).resolve() if address.path else path
            target = target / "index.html" if target.is_dir() else target
            anchor = unquote(address.fragment)
            good = target.is_file() and (not anchor or target.suffix != ".html" or anchor in parsed(target).anchors)
            lost += [] if good else [f"{path.relative_to(site)}: {link}"]
            checked += 1
    assert lost == []
    assert checked > 1000


def test_nothing_is_fetched_from_elsewhere(site):
    """Neither by a page nor by a style sheet. Scripts of the theme load a drawing library where a page has a drawing,
    and the site has none."""
    elsewhere = re.compile(r"^(?:https?:)?//")
    fetched = {link for path in pages(site) for link in parsed(path).fetched}
    assert any(link.endswith(".js") for link in fetched)
    assert any(link.endswith(".css") for link in fetched)
    assert {link for link in fetched if elsewhere.match(link)} == set()
    for path in site.rglob("*.css"):
        assert not re.search(r"""(?:url\(|@import)\s*['"]?(?:https?:)?//""", path.read_text(encoding="utf-8")), path
    assert not any('class="mermaid"' in path.read_text(encoding="utf-8") for path in pages(site))


@pytest.mark.parametrize("program", VERBS)
def test_every_verb_has_a_section_with_all_its_flags(site, program):
    text = (site / "commands" / f"{program}.html").read_text(encoding="utf-8")
    sections = dict(re.findall(r'<h2 id="[\w-]*?(\w+)">(.*?)(?=<h2 |\Z)', text, re.DOTALL))
    verbs = {info.name or info.callback.__name__ for info in VERBS[program].registered_commands}
    assert set(sections) == verbs
    for name, command in flag_commands(VERBS[program]).items():
        shown = set(re.findall(r"<tr>\s*<td><code>(?:--)?([\w-]+)", sections[name]))
        flags = {"json" if flag == "as_json" else flag.replace("_", "-") for flag in command.flags}
        assert {flag.lower() for flag in shown} == flags
    assert "&amp;lt;" not in text


def test_a_flag_shows_its_value_and_default(site):
    text = (site / "commands" / "train.html").read_text(encoding="utf-8")
    row = re.search(r"<tr>\s*<td><code>--anchor-weight</code></td>.*?</tr>", text, re.DOTALL)
    cells = re.findall(r"<td>(.*?)</td>", row[0], re.DOTALL)
    assert cells == ["<code>--anchor-weight</code>", "number ≥ 0", "3", "Weight of the KL on anchored tokens."]


@pytest.mark.parametrize("package", FLOW)
def test_every_slice_has_a_page_in_the_order_of_the_flow(site, package):
    home = (site / "index.html").read_text(encoding="utf-8")
    order = [part for part in FLOW[package] if part != "__main__"]
    assert re.findall(rf'href="modules/{package}/(\w+)\.html"', home) == order
    for part in order:
        assert f"{package}.{part}" in parsed(site / "modules" / package / f"{part}.html").anchors


def test_the_readme_is_the_first_page(site):
    text = (site / "index.html").read_text(encoding="utf-8")
    assert 'href="guide.html"' in text
    assert 'src="flow.svg"' in text
    assert (site / "benchmarks" / "forgetting" / "pareto-drugs-rich.svg").is_file()


def test_what_is_not_in_the_site_is_named_as_code(site):
    assert "<code>data_cards</code>" in (site / "guide.html").read_text(encoding="utf-8")


def test_examples_in_docstrings_are_code_and_names_no_tags(site):
    text = (site / "modules" / "curate" / "config.html").read_text(encoding="utf-8")
    assert '<span class="gp">&gt;&gt;&gt; </span><span class="n">by_commas</span>' in text
    assert "loss/&lt;source&gt;" in (site / "modules" / "train" / "objective.html").read_text(encoding="utf-8")
    assert not [path for path in (site / "modules").rglob("*.html") if "<blockquote>" in path.read_text("utf-8")]


def test_what_folds_holds_tables(site):
    text = (site / "benchmarks" / "forgetting" / "RESULTS.html").read_text(encoding="utf-8")
    folded = re.findall(r"<details>(.*?)</details>", text, re.DOTALL)
    assert folded
    assert [part for part in folded if "<table>" not in part or "| ---" in part] == []


@pytest.mark.parametrize("name", ["commands", "docstrings"])
def test_examples_of_the_hooks_hold(name):
    examples = [sys.executable, "-m", "doctest", ROOT / "docs" / "hooks" / f"{name}.py"]
    paths = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
    result = subprocess.run(examples, cwd=ROOT, env=paths, capture_output=True, text=True)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
