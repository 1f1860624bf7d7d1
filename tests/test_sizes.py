"""Files and functions are short enough to be read at once."""

import ast
from collections.abc import Iterator

import pytest

from tests.paths import ROOT

LINES_OF_A_FILE, LINES_OF_A_FUNCTION, PARAMETERS = 350, 50, 8

Function = ast.FunctionDef | ast.AsyncFunctionDef

FOLDERS = [ROOT / name for name in ("curate", "train", "benchmarks")]
PYTHON = [path for folder in FOLDERS for path in sorted(folder.rglob("*.py"))]
TEMPLATES = [path for folder in FOLDERS for ending in ("jinja", "css") for path in sorted(folder.rglob(f"*.{ending}"))]


def functions() -> Iterator[tuple[str, Function]]:
    """Functions and methods, nested ones too: "file:name" and the definition."""
    for path in PYTHON:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, Function):
                yield f"{path.relative_to(ROOT).as_posix()}:{node.name}", node


def lines(function: Function) -> int:
    """Signature and docstring included, decorators not."""
    return (function.end_lineno or 0) - function.lineno + 1


def parameters(function: Function) -> int:
    """Parameters with a name, without ``self`` and ``cls``, which no caller gives."""
    given = function.args
    names = [one.arg for one in (*given.posonlyargs, *given.args, *given.kwonlyargs)]
    return len(names) - (names[:1] in (["self"], ["cls"]))


def test_no_file_is_long() -> None:
    long = {
        path: count
        for path in [*PYTHON, *TEMPLATES]
        if (count := len(path.read_text(encoding="utf-8").splitlines())) > LINES_OF_A_FILE
    }
    assert long == {}


def test_no_function_is_long() -> None:
    assert {name: lines(node) for name, node in functions() if lines(node) > LINES_OF_A_FUNCTION} == {}


def test_no_function_has_many_parameters() -> None:
    assert {name: parameters(node) for name, node in functions() if parameters(node) > PARAMETERS} == {}


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("def f(): ...", 0),
        ("def f(self, a, /, b, *c, d=1, **e): ...", 3),
        ("async def f(a, b, *, c): ...", 3),
    ],
)
def test_what_counts_as_a_parameter(text: str, count: int) -> None:
    (node,) = ast.parse(text).body
    assert isinstance(node, Function)
    assert (parameters(node), lines(node)) == (count, 1)
