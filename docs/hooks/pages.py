"""Pages from outside docs/, and links between all pages, which are written as for GitHub."""

import re
import tomllib
from pathlib import Path, PurePosixPath
from posixpath import normpath, relpath
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[2]
PLACES = {"README.md": "index.md", "CONTRIBUTING.md": "contributing.md", "CHANGELOG.md": "changelog.md"}
BESIDE = ("*.md", "*.svg")  # what a benchmark says of itself
LINK = re.compile(r"(!?)\[([^\]]*)\]\((?!https?:)([^)\s#]+)(#[^)\s]*)?\)")


def outside() -> dict[str, str]:
    """Files from outside docs/: path in the repository -> path in the site."""
    pages = (ROOT / "benchmarks").glob("*/README.md")
    paths = [path.relative_to(ROOT).as_posix() for page in pages for name in BESIDE for path in page.parent.glob(name)]
    return PLACES | {path: path for path in paths}


def on_files(files: Files, config: MkDocsConfig) -> Files:
    for path, place in outside().items():
        files.append(File.generated(config, place, abs_src_path=str(ROOT / path)))
    return files


def on_page_markdown(markdown: str, page: Page, files: Files, **_: Any) -> str:
    """The page with links to the places of their files in the site. A link to a file that the site lacks leads to the
    repository's address, or becomes code where pyproject.toml has no address. Text inside ``<details>`` is read as
    Markdown."""
    source = page.file.abs_src_path
    if source is None or not Path(source).is_relative_to(ROOT):
        return markdown
    home = Path(source).relative_to(ROOT).parent.as_posix()
    led = LINK.sub(lambda link: _led(link, home, page.file.src_uri, files), markdown)
    return led.replace("<details>", '<details markdown="1">')


def _led(link: re.Match[str], home: str, page: str, files: Files) -> str:
    picture, words, name, anchor = link.groups(default="")
    target = normpath(f"{home}/{name}")
    place = outside().get(target, target.removeprefix("docs/"))
    if files.get_file_from_path(place):
        return f"{picture}[{words}]({relpath(place, PurePosixPath(page).parent)}{anchor})"
    address = repository()
    return f"[{words}]({address}/blob/main/{target})" if address else f"`{words.strip('`')}`"


def repository() -> str | None:
    """The repository's address from pyproject.toml."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    address = project.get("urls", {}).get("Repository")
    return address and str(address).rstrip("/")
