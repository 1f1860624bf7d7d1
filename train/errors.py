"""Turn every error of a command into one paragraph and an exit code."""

from collections.abc import Callable

from curate import errors


def guarded(run: Callable[[], None], debug: bool, thrift: str = "use a machine with more") -> None:
    """Run a command; see ``curate.errors.guarded``. ``thrift``: advice for a run that is out of memory."""
    errors.guarded(run, debug, "error", lambda error: explain(error, thrift))


def explain(error: Exception, thrift: str) -> tuple[int, str]:
    """Exit code and paragraph of an error."""
    if explained := errors.explain(error):
        return explained
    if type(error).__name__ == "OutOfMemoryError" or "not enough memory" in str(error):
        return 1, f"out of memory; {thrift}"
    return 1, f"{type(error).__name__}: {error}; give --debug to see where"
