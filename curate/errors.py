"""The errors that say, in a sentence, what was asked, what was found and what to do; and how commands end with them."""

import sys
import traceback
from collections.abc import Callable


class CurateError(Exception):
    """An error that the user can fix; the message says what was asked, what was found and what to do.

    ``exit_code``: of the command that ends with the error: 2 where the command or its input was wrong, 1 where the
    data or a machine was.
    """

    exit_code = 2


Explain = Callable[[Exception], tuple[int, str] | None]
"""The exit code of an error and its sentence; None for an error that ends with its traceback."""


def explain(error: Exception) -> tuple[int, str] | None:
    """Exit code and message of an error that the user can fix; None for any other error, which is a bug."""
    from pydantic import ValidationError

    mendable = isinstance(error, CurateError | ValidationError | OSError)
    return (getattr(error, "exit_code", 2), sentence(error)) if mendable else None


def guarded(act: Callable[[], None], debug: bool = False, prefix: str = "curate", explain: Explain = explain) -> None:
    """Run a command. An error that ``explain`` knows is printed as a sentence behind ``prefix``; ``debug`` adds the
    traceback. Exit codes: 0 done, 1 the run or the data failed, 2 wrong usage or input, 130 interrupted.
    """
    import typer

    try:
        act()
    except (BrokenPipeError, typer.Exit):
        raise  # the reader closed the pipe (`| head`): typer ends without a message
    except KeyboardInterrupt:
        print("interrupted; the same command continues where this one stopped", file=sys.stderr)
        raise typer.Exit(130) from None
    except Exception as error:
        explained = explain(error)
        if explained is None:
            raise
        if debug:
            traceback.print_exc()
        code, text = explained
        print(f"{prefix}: {text}", file=sys.stderr)
        raise typer.Exit(code) from None


def sentence(error: Exception) -> str:
    """The message for the user. Messages of pydantic and of the operating system are reworded: they address programs.

    >>> sentence(PermissionError(13, "Permission denied", "out/manifest.json"))
    'out/manifest.json: Permission denied; check the path, its permissions and the space left'
    """
    from pydantic import ValidationError

    if isinstance(error, ValidationError):
        return "\n".join(item["msg"].removeprefix("Value error, ") for item in error.errors())
    if isinstance(error, OSError) and error.strerror:
        place = f"{error.filename}: " if error.filename else ""
        return f"{place}{error.strerror}; check the path, its permissions and the space left"
    return str(error)
