"""The errors that say, in a sentence, what was asked, what was found and what to do."""


class CurateError(Exception):
    """What a person can mend; the message says what was asked, what was found and what to do.

    ``exit_code``: of the command that ends with the error: 2 where the command or its input was wrong, 1 where the
    data or a machine was.
    """

    exit_code = 2


def known() -> tuple[type[Exception], ...]:
    """Error types that a command reports without a trace."""
    from pydantic import ValidationError

    return (CurateError, ValidationError, OSError)


def sentence(error: Exception) -> str:
    """What to tell of a known error. pydantic and the operating system word theirs for programs.

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
