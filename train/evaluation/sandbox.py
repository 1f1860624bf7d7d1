"""Run Python code that a language model wrote, in a process that can reach a scratch folder and nothing else (Linux).

The child process restricts itself before the first line of foreign code, by means open to any Linux user, and the
kernel passes the restrictions on to all threads and processes that the child starts:

- Landlock (docs.kernel.org/userspace-api/landlock.html): files can be written in the scratch folder only, and read
  there and in Python's own folders. Home folders and keys are not readable.
- seccomp (docs.kernel.org/userspace-api/seccomp_filter.html): only the system calls in ``sandbox_child.ALLOWED``. No
  network, no new process or program, no signal to another process, no tracing. Threads work, and so does asyncio.
- limits on address space, processor time, file size, open files and threads; no capabilities; an empty environment.

Limits of the sandbox. Tests run in the process of the code that they test: code that looks for it (through the
interpreter's frames, or in its own memory) finds the token that means "passed", and an object that equals everything
passes any assertion. So the sandbox can measure models, which do not know it, but cannot grade people who want to
cheat. The code can still query the existence, size and date of files whose names it guesses, and use the processor,
memory and disk within the limits. A vulnerability of the kernel breaks the sandbox: for code that is meant to attack,
use a virtual machine.
"""

import functools
import marshal
import os
import platform
import secrets
import select
import signal
import struct
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from train.evaluation.sandbox_child import MACHINES, READY, landlock_version


@dataclass(frozen=True)
class Limits:
    """Limits of one run. Fixed in addition: 256 threads; 2000 entries and eight times ``files`` in the scratch
    folder."""

    seconds: float = 10.0  # wall-clock time from the code's first line on; also processor time of all threads together
    memory: int = 1 << 30  # bytes of address space; the interpreter takes about 50 MB
    files: int = 16 << 20  # bytes per file
    output: int = 64 << 10  # bytes kept of stdout and stderr together; the rest is discarded


@dataclass(frozen=True)
class Outcome:
    """The result of a run. ``reason`` and ``output`` contain text of the code: show them, do not trust them."""

    passed: bool
    reason: str  # "passed", "failed: …", "blocked: …", "timed out after 10 s", "out of memory", "killed by signal …"
    output: str


class SandboxError(RuntimeError):
    """The sandbox does not work on this system; the message says what is missing."""


DEFAULT = Limits()
START_SECONDS = 60.0  # for the interpreter's start, which is slow on a busy machine; not part of ``Limits.seconds``
CHECK_SECONDS = 0.2  # between two checks of the scratch folder's size and the number of threads
SCRATCH_FILES, SCRATCH_ENTRIES, THREADS = 8, 2000, 256
CHILD = "import sys; sys.path.append(sys.argv.pop()); from sandbox_child import child; sys.path.pop(); child()"
READABLE = ("/usr", "/lib", "/lib64", "/etc/ld.so.cache", "/etc/localtime", "/dev/zero", "/dev/random", "/dev/urandom")


def available() -> str | None:
    """None if the sandbox works on this system, tested by a run; else the reason why not."""
    return _missing() or _trial()


def run_python(code: str, limits: Limits = DEFAULT) -> Outcome:
    """Run the code as ``__main__``; it passes if it reaches its end without an exception.

    Code that exits early has not passed, even with status 0; ``unittest.main()`` exits, too. Tests are plain assertions
    after the code that they test. Threads of the code end with it. Modes and times of files cannot be set; hashes of
    strings are the same in each run. The function is thread-safe.

    Raises SandboxError if the sandbox is not available, OSError if the disk is full.

    >>> run_python("assert 1 + 1 == 3").reason  # doctest: +SKIP
    'failed: AssertionError (line 1: assert 1 + 1 == 3)'
    """
    if missing := _missing():
        raise SandboxError(missing)
    outer = Path(tempfile.mkdtemp(prefix="sandbox-"))
    try:
        scratch = outer / "scratch"
        scratch.mkdir()
        return _run(code, limits, scratch)
    finally:
        _remove(outer)


@functools.cache
def _missing() -> str | None:
    """The reason why the sandbox cannot work here, as far as known without a run; else None."""
    machine = platform.machine()
    if sys.platform != "linux":
        return f"generated code is run under Landlock and seccomp, which are Linux's; this is {sys.platform}"
    if machine not in MACHINES or struct.calcsize("P") != 8:
        return f"generated code is run on {' and '.join(MACHINES)} with 64 bits; this is {machine}"
    if (version := landlock_version()) < 1:
        return (
            f"this kernel has no Landlock ({os.strerror(-version)}), which keeps generated code from other files; use "
            "Linux 5.13 or later with landlock in the lsm= of its command line, and a container that permits Landlock"
        )
    return None if sys.executable else "generated code is run by sys.executable, which is not set"


@functools.cache
def _trial() -> str | None:
    try:
        outcome = run_python("pass", Limits(seconds=START_SECONDS))
    except (SandboxError, OSError) as error:
        return str(error)
    return None if outcome.passed else f"an empty program did not pass in the sandbox: {outcome.reason}"


class _PipeReader:
    """Keeps the first bytes of a pipe and discards the rest, so that output cannot fill the memory."""

    def __init__(self, pipe: int, most: int) -> None:
        self.pipe, self.most, self.kept = pipe, most, bytearray()
        os.set_blocking(pipe, False)

    def read(self) -> bool:
        """Whether there was something to read."""
        try:
            data = os.read(self.pipe, 1 << 16)
        except BlockingIOError:
            return False
        self.kept += data[: self.most - len(self.kept)]
        return bool(data)


def _run(code: str, limits: Limits, scratch: Path) -> Outcome:
    """Start the child, read its report and output, and leave no process behind."""
    nonce = secrets.token_hex(16).encode()
    read_end, write_end = os.pipe()
    with open(read_end, "rb", buffering=0):
        try:
            process = _start(code, limits, scratch, nonce, write_end)
        finally:
            os.close(write_end)
        with process:
            assert process.stdout is not None
            report, output = _PipeReader(read_end, 4096), _PipeReader(process.stdout.fileno(), limits.output)
            try:
                stopped = _wait(process.pid, report, output, limits, scratch)
            finally:
                _kill(process)
            while report.read() or output.read():
                pass
    message = bytes(report.kept)
    text = output.kept.decode("utf-8", "replace")
    if not message.startswith(READY):
        last = (text.strip().splitlines() or [stopped or f"status {process.returncode}"])[-1]
        raise SandboxError(f"{sys.executable} could not confine itself to run generated code: {last}")
    reason = _reason(message.removeprefix(READY), nonce, stopped, process.returncode, limits)
    return Outcome(reason == "passed", reason, text)


def _start(code: str, limits: Limits, scratch: Path, nonce: bytes, write_end: int) -> "subprocess.Popen[bytes]":
    """Start the child. Its job is on stdin, an unnamed file: unlike a pipe, a file cannot block if the child dies
    early."""
    packages = [path for path in sys.path if Path(path).name in ("site-packages", "dist-packages")]
    job = {
        **{"code": code.encode("utf-8", "surrogatepass"), "nonce": nonce, "report": write_end, "parent": os.getpid()},
        **{"seconds": limits.seconds, "memory": limits.memory, "files": limits.files, "threads": _tasks() + THREADS},
        **{"scratch": str(scratch), "packages": packages, "readable": [*READABLE, *_python(), *packages]},
    }
    command = [sys.executable, "-B", "-P", "-S", "-X", "utf8", "-c", CHILD, str(Path(__file__).parent)]
    with tempfile.TemporaryFile() as stdin:
        stdin.write(marshal.dumps(job))
        stdin.seek(0)
        try:
            return subprocess.Popen(
                command,
                stdin=stdin,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                pass_fds=[write_end],
                cwd=scratch,
                env=_environment(scratch),
                start_new_session=True,
            )
        except OSError as error:
            raise SandboxError(f"{sys.executable}, which runs generated code, did not start: {error}") from None


def _python() -> set[str]:
    """Folders of the interpreter and its library."""
    return {sys.base_prefix, sys.base_exec_prefix, sys.prefix, sys.exec_prefix}


def _environment(scratch: Path) -> dict[str, str]:
    """The child's environment: one thread per numerical library, since their buffers count as address space."""
    inherited = {name: os.environ[name] for name in ("LD_LIBRARY_PATH",) if name in os.environ}
    folders = {"PATH": "/usr/bin:/bin", "HOME": str(scratch), "TMPDIR": str(scratch)}
    threads = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "2"}
    return {**inherited, **folders, **threads, "LANG": "C.UTF-8", "PYTHONHASHSEED": "0"}


def _tasks() -> int:
    """Number of threads on the system: RLIMIT_NPROC counts all of the user's threads, not the child's alone."""
    return int(Path("/proc/loadavg").read_text().split()[3].split("/")[1])


def _wait(child: int, report: _PipeReader, output: _PipeReader, limits: Limits, scratch: Path) -> str:
    """Wait until the child ends by itself, and return ""; or until it must be stopped, and return the reason."""
    readers = {reader.pipe: reader for reader in (report, output)}
    death = os.pidfd_open(child)
    with open(death, "rb", buffering=0):
        poller = select.poll()
        for pipe in (*readers, death):
            poller.register(pipe, select.POLLIN)
        ready, next_check, end = False, 0.0, time.monotonic() + START_SECONDS
        while (now := time.monotonic()) < end:
            for pipe, _ in poller.poll(1000 * min(end - now, CHECK_SECONDS)):
                if pipe == death:
                    return ""
                if not readers[pipe].read():
                    poller.unregister(pipe)
            if not ready and report.kept.startswith(READY):
                ready, end = True, time.monotonic() + limits.seconds
            if now > next_check:
                next_check = now + CHECK_SECONDS
                if excess := _excess(child, scratch, SCRATCH_FILES * limits.files):
                    return f"blocked: {excess}"
    return f"timed out after {limits.seconds if ready else START_SECONDS:g} s"


def _excess(child: int, scratch: Path, most: int) -> str:
    """An exceeded limit that the kernel does not enforce, else "": RLIMIT_NPROC does not bind root, and folders have no
    limit."""
    with suppress(FileNotFoundError):
        if len(os.listdir(f"/proc/{child}/task")) > THREADS:
            return f"more than {THREADS} threads"
    return f"more than {most} bytes or {SCRATCH_ENTRIES} files in the folder" if _overfull(scratch, most) else ""


def _overfull(scratch: Path, most: int) -> bool:
    """Whether the folder has too many bytes or entries. Entries nested deeper than the longest path are not counted."""
    pending, entries, size = [str(scratch)], 0, 0
    while pending:
        with suppress(OSError), os.scandir(pending.pop()) as listing:
            for entry in listing:
                entries += 1
                size += entry.stat(follow_symlinks=False).st_blocks * 512
                if size > most or entries > SCRATCH_ENTRIES:
                    return True
                if entry.is_dir(follow_symlinks=False):
                    pending.append(entry.path)
    return False


def _kill(process: "subprocess.Popen[bytes]") -> None:
    """Kill the child and its threads. Call this before ``wait``, after which another process may get its number."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def _remove(outer: Path) -> None:
    """Delete a folder level by level, since it may be nested deeper than paths and recursion allow."""
    pending, moved = [outer / "scratch"], 0
    while pending:
        folder = pending.pop()
        for entry in list(os.scandir(folder)):
            if entry.is_dir(follow_symlinks=False):
                moved += 1
                pending.append(outer / str(moved))
                os.chmod(entry.path, 0o700)  # the code may have removed our permissions
                os.rename(entry.path, pending[-1])
            else:
                os.unlink(entry.path)
        folder.rmdir()
    outer.rmdir()


def _reason(message: bytes, nonce: bytes, stopped: str, status: int, limits: Limits) -> str:
    """The reason of an outcome, from the child's report and its exit status."""
    if message == nonce:
        return "passed"
    if stopped:
        return stopped
    if message:
        text = message.decode("utf-8", "replace")
        return text if text.startswith(("failed: ", "blocked: ", "out of memory")) else f"failed: {text}"
    if status == -signal.SIGXCPU:
        return f"timed out after {limits.seconds:g} s of processor time"
    if status < 0:
        return f"killed by signal {-status} ({signal.strsignal(-status)})"
    return f"failed: the code exited with status {status} before its last line"
