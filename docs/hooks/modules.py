"""The reference of the packages: a page for each slice, in the order of the tree in CONTRIBUTING.md."""

import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

TREE = Path(__file__).resolve().parents[2] / "CONTRIBUTING.md"
PACKAGES = ("curate", "train")


def slices() -> dict[str, list[str]]:
    """The slices of each package, in the order in which data flows.

    In the tree, a line of a package begins with four blanks and a line of slices with six; two or more blanks separate
    the slices from their description.
    """
    by_package: dict[str, list[str]] = {}
    package = ""
    for line in TREE.read_text(encoding="utf-8").splitlines():
        if top := re.match(r" {4}(\w+)/", line):
            package = top[1]
        elif package in PACKAGES and (names := re.match(r" {6}(\S+(?: \S+)*)", line)):
            by_package.setdefault(package, []).extend(
                name.removesuffix("/").removesuffix(".py") for name in names[1].split()
            )
    return by_package


def place(package: str, part: str) -> str:
    return f"modules/{package}/{part}.md"


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    sections = [{package: [place(package, part) for part in parts]} for package, parts in slices().items()]
    config.nav = [*(config.nav or []), {"Modules": sections}]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    for package, parts in slices().items():
        for part in parts:
            files.append(File.generated(config, place(package, part), content=f"::: {package}.{part}\n"))
    return files
