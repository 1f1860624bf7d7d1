"""Every error of a command becomes one paragraph and an exit code."""

import sys
import traceback
from collections.abc import Callable

import typer


def guarded(run: Callable[[], None], debug: bool, thrift: str = "use a machine with more") -> None:
    """Run a command. Exit codes: 1 the run failed, 2 wrong usage or input, 130 interrupted.

    ``thrift``: what to do where memory does not suffice.
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
    from curate.config import ConfigError
    from curate.engine import EngineError
    from train.data import DataError
    from train.evaluation.results import EvaluateError
    from train.evaluation.suites import SuiteError
    from train.record import RunError

    if isinstance(error, (ConfigError, DataError, EngineError, EvaluateError, SuiteError)):
        return getattr(error, "exit_code", 2), str(error)
    if isinstance(error, RunError):
        return 1, str(error)
    if type(error).__name__ == "OutOfMemoryError" or "not enough memory" in str(error):
        return 1, f"out of memory; {thrift}"
    return 1, f"{type(error).__name__}: {error}; give --debug to see where"
