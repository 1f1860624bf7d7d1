"""Turn every error of a command into one paragraph and an exit code."""

import sys
import traceback
from collections.abc import Callable

import typer

from curate.errors import CurateError


def guarded(run: Callable[[], None], debug: bool, thrift: str = "use a machine with more") -> None:
    """Run a command. Exit codes: 1 the run failed, 2 wrong usage or input, 130 interrupted.

    ``thrift``: advice for a run that is out of memory.
    """
    try:
        run()
    except KeyboardInterrupt:
        print("interrupted; the same command continues where this one stopped", file=sys.stderr)
        raise typer.Exit(130) from None
    except Exception as error:
        if debug:
            traceback.print_exc()
        code, text = explain(error, thrift)
        print(f"error: {text}", file=sys.stderr)
        raise typer.Exit(code) from None


def explain(error: Exception, thrift: str) -> tuple[int, str]:
    """Exit code and paragraph of an error."""
    if isinstance(error, CurateError):
        return error.exit_code, str(error)
    if type(error).__name__ == "OutOfMemoryError" or "not enough memory" in str(error):
        return 1, f"out of memory; {thrift}"
    return 1, f"{type(error).__name__}: {error}; give --debug to see where"
