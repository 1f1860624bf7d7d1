"""Runs Python that a language model wrote, in a process that can reach a scratch folder and nothing else (Linux).

The child locks itself in before the first line of foreign code, with what Linux offers to any user, and the kernel
passes the locks on to all that it starts:

- Landlock (docs.kernel.org/userspace-api/landlock.html): files are written in the scratch folder only, and read there
  and where Python and its packages live. Home folders and keys are not readable.
- seccomp (docs.kernel.org/userspace-api/seccomp_filter.html): the calls in ``ALLOWED`` and no others. No network, no
  new process or program, no signal to another process, no tracing. Threads work, and so does asyncio.
- limits on address space, processor time, file size, open files and threads; no capabilities; an empty environment.

What it cannot do. The tests run in the process of the code they test: code that goes out of its way (it walks the
interpreter's frames, or reads its own memory) finds the token that says "passed", and an object that equals everything
passes any assertion. So it measures models, which do not know it; it does not grade somebody who wants to cheat. The
code may still ask for the existence, size and date of files whose name it guesses, and use the processor, memory
and disk that the limits leave it. A hole in the kernel is a hole here: for code that is meant to attack, take a
virtual machine.
"""

import ctypes
import errno
import functools
import linecache
import marshal
import math
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
import traceback
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn


@dataclass(frozen=True)
class Limits:
    """What one run may use; beside it, 256 threads, and eight times ``files`` and 2000 entries in the folder."""

    seconds: float = 10.0  # of the clock, from the code's first line on; and of the processor, all threads together
    memory: int = 1 << 30  # bytes of address space; the interpreter takes some 50 MB of it
    files: int = 16 << 20  # bytes that any one file may have
    output: int = 64 << 10  # bytes kept of stdout and stderr together; the rest is read and thrown away


@dataclass(frozen=True)
class Outcome:
    """How a run ended. ``reason`` and ``output`` are the code's own words in part: show them, do not trust them."""

    passed: bool
    reason: str  # "passed", "failed: …", "blocked: …", "timed out after 10 s", "out of memory", "killed by signal …"
    output: str


class SandboxError(RuntimeError):
    """The sandbox itself is not to be had here; says what is missing."""


DEFAULT = Limits()
START_SECONDS = 60.0  # for the interpreter's start, which a busy machine draws out; it does not count as the code's
LOOK_SECONDS = 0.2  # between two looks at the scratch folder's size and the number of threads
SCRATCH_FILES, SCRATCH_ENTRIES, THREADS = 8, 2000, 256
READY = b"locked in\n"
PROGRAM = "<program>"
CHILD = "import sys; sys.path.append(sys.argv.pop()); from sandbox import _child; sys.path.pop(); _child()"
READABLE = ("/usr", "/lib", "/lib64", "/etc/ld.so.cache", "/etc/localtime", "/dev/zero", "/dev/random", "/dev/urandom")

# seccomp's word for the architecture (linux/audit.h), and which of the two numbers of a call below is its own.
MACHINES = {"x86_64": (0xC000003E, 0), "aarch64": (0xC00000B7, 1)}

# Calls by name, with their numbers on x86_64 and aarch64 (asm/unistd_64.h, asm-generic/unistd.h). A list of what is
# allowed, since a list of what is forbidden ages with each new kernel.
ALLOWED = """
    read=0/63 write=1/64 readv=19/65 writev=20/66 pread64=17/67 pwrite64=18/68 preadv=295/69 pwritev=296/70
    preadv2=327/286 pwritev2=328/287 lseek=8/62 close=3/57 close_range=436/436 dup=32/23 dup2=33/- dup3=292/24
    pipe=22/- pipe2=293/59 stat=4/- fstat=5/80 lstat=6/- newfstatat=262/79 statx=332/291 access=21/-
    faccessat=269/48 faccessat2=439/439 statfs=137/43 fstatfs=138/44 readlink=89/- readlinkat=267/78 getdents=78/-
    getdents64=217/61 getcwd=79/17 chdir=80/49 fchdir=81/50 umask=95/166 creat=85/- rename=82/- renameat=264/38
    renameat2=316/276 mkdir=83/- mkdirat=258/34 rmdir=84/- link=86/- linkat=265/37 symlink=88/- symlinkat=266/36
    unlink=87/- unlinkat=263/35 ftruncate=77/46 fallocate=285/47 fadvise64=221/223 flock=73/32 fsync=74/82
    fdatasync=75/83 sendfile=40/71 copy_file_range=326/285 listxattr=194/11 llistxattr=195/12 flistxattr=196/13
    mmap=9/222 munmap=11/215 mremap=25/216 mprotect=10/226 madvise=28/233 msync=26/227 mincore=27/232 brk=12/214
    membarrier=324/283 exit=60/93 exit_group=231/94 getpid=39/172 getppid=110/173 gettid=186/178 getuid=102/174
    geteuid=107/175 getgid=104/176 getegid=108/177 getgroups=115/158 getresuid=118/148 getresgid=120/150
    getpgrp=111/- getpgid=121/155 getsid=124/156 uname=63/160 sysinfo=99/179 times=100/153 getrusage=98/165
    getrlimit=97/163 setrlimit=160/164 getpriority=140/141 getcpu=309/168 wait4=61/260 waitid=247/95
    set_tid_address=218/96 set_robust_list=273/99 rseq=334/293 futex=202/98 sched_yield=24/124
    sched_getaffinity=204/123 sched_getparam=143/121 sched_getscheduler=145/120 sched_get_priority_max=146/125
    sched_get_priority_min=147/126 rt_sigaction=13/134 rt_sigprocmask=14/135 rt_sigreturn=15/139
    rt_sigpending=127/136 rt_sigtimedwait=128/137 rt_sigsuspend=130/133 sigaltstack=131/132
    restart_syscall=219/128 pause=34/- alarm=37/- setitimer=38/103 getitimer=36/102 time=201/- gettimeofday=96/169
    clock_gettime=228/113 clock_getres=229/114 clock_nanosleep=230/115 nanosleep=35/101 getrandom=318/278 poll=7/-
    ppoll=271/73 select=23/- pselect6=270/72 epoll_create=213/- epoll_create1=291/20 epoll_ctl=233/21
    epoll_wait=232/- epoll_pwait=281/22 epoll_pwait2=441/441 eventfd2=290/19 sendto=44/206 recvfrom=45/207
    shutdown=48/210 getsockopt=55/209 setsockopt=54/208 getsockname=51/204 getpeername=52/205
"""

# Answered "done" and not done. Landlock does not watch over modes and times, so outside the scratch folder they would
# change; refused altogether, ``shutil.copy`` would fail.
IGNORED = """
    chmod=90/- fchmod=91/52 fchmodat=268/53 utime=132/- utimes=235/- futimesat=261/- utimensat=280/88
"""

# Allowed when each named argument, under the mask, is one of the values: see ``_conditions``.
CONDITIONAL = """
    open=2/- openat=257/56 clone=56/220 kill=62/129 tgkill=234/131 prlimit64=302/261 fcntl=72/25 ioctl=16/29
    prctl=157/167 socketpair=53/199
"""
YOUNG = 424  # from this number on, calls are so young that the C library knows how to do without: "no such call"


def available() -> str | None:
    """None where the sandbox works on this system, found out by a run; else why it does not."""
    return _missing() or _trial()


def run_python(code: str, limits: Limits = DEFAULT) -> Outcome:
    """Runs the code as ``__main__`` and says whether it came to its end without an exception.

    Code that leaves early, be it with status 0, has not passed: nor has ``unittest.main()``, which leaves. Tests are
    plain assertions behind the code that they test. What the code started in threads ends with it. Modes and times of
    files cannot be set; hashes of strings are the same in each run. It may be called from several threads at once.

    Raises SandboxError where the sandbox is not to be had, OSError where the disk is full.

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
    """What one can tell without a run."""
    machine = platform.machine()
    if sys.platform != "linux":
        return f"generated code is run under Landlock and seccomp, which are Linux's; this is {sys.platform}"
    if machine not in MACHINES or struct.calcsize("P") != 8:
        return f"generated code is run on {' and '.join(MACHINES)} with 64 bits; this is {machine}"
    if (version := _landlock_version()) < 1:
        return (
            f"this kernel has no Landlock ({os.strerror(-version)}), which keeps generated code from other files: it "
            "takes Linux 5.13 with landlock among the lsm= of its command line, and a container that lets it through"
        )
    return None if sys.executable else "generated code is run by sys.executable, which is not set"


@functools.cache
def _trial() -> str | None:
    try:
        outcome = run_python("pass", Limits(seconds=START_SECONDS))
    except (SandboxError, OSError) as error:
        return str(error)
    return None if outcome.passed else f"an empty program did not pass in the sandbox: {outcome.reason}"


# The parent's half.


class _Ear:
    """Keeps the first bytes that come through a pipe and throws the rest away: nobody fills our memory."""

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
    """Starts the child, listens to it, and leaves no process behind."""
    nonce = secrets.token_hex(16).encode()
    hear, tell = os.pipe()
    with open(hear, "rb", buffering=0):
        try:
            process = _start(code, limits, scratch, nonce, tell)
        finally:
            os.close(tell)
        with process:
            assert process.stdout is not None
            report, output = _Ear(hear, 4096), _Ear(process.stdout.fileno(), limits.output)
            try:
                stopped = _listen(process.pid, report, output, limits, scratch)
            finally:
                _kill(process)
            while report.read() or output.read():
                pass
    said = bytes(report.kept)
    text = output.kept.decode("utf-8", "replace")
    if not said.startswith(READY):
        last = (text.strip().splitlines() or [stopped or f"status {process.returncode}"])[-1]
        raise SandboxError(f"{sys.executable} could not lock itself in to run generated code: {last}")
    reason = _reason(said.removeprefix(READY), nonce, stopped, process.returncode, limits)
    return Outcome(reason == "passed", reason, text)


def _start(code: str, limits: Limits, scratch: Path, nonce: bytes, tell: int) -> "subprocess.Popen[bytes]":
    """The child, with its job on stdin: a file without a name, which a child that dies early cannot block."""
    packages = [path for path in sys.path if Path(path).name in ("site-packages", "dist-packages")]
    job = {
        **{"code": code.encode("utf-8", "surrogatepass"), "nonce": nonce, "tell": tell, "parent": os.getpid()},
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
                pass_fds=[tell],
                cwd=scratch,
                env=_environment(scratch),
                start_new_session=True,
            )
        except OSError as error:
            raise SandboxError(f"{sys.executable}, which runs generated code, did not start: {error}") from None


def _python() -> set[str]:
    """Where the interpreter and its library live."""
    return {sys.base_prefix, sys.base_exec_prefix, sys.prefix, sys.exec_prefix}


def _environment(scratch: Path) -> dict[str, str]:
    """One thread for each library that has its own, since their buffers are counted as address space."""
    inherited = {name: os.environ[name] for name in ("LD_LIBRARY_PATH",) if name in os.environ}
    folders = {"PATH": "/usr/bin:/bin", "HOME": str(scratch), "TMPDIR": str(scratch)}
    threads = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "2"}
    return {**inherited, **folders, **threads, "LANG": "C.UTF-8", "PYTHONHASHSEED": "0"}


def _tasks() -> int:
    """How many threads there are in the system: RLIMIT_NPROC counts all of a user's, and the child comes on top."""
    return int(Path("/proc/loadavg").read_text().split()[3].split("/")[1])


def _listen(child: int, report: _Ear, output: _Ear, limits: Limits, scratch: Path) -> str:
    """Waits until the child has died by itself, and returns ""; or until it must be stopped, and returns why."""
    ears = {ear.pipe: ear for ear in (report, output)}
    death = os.pidfd_open(child)
    with open(death, "rb", buffering=0):
        poller = select.poll()
        for pipe in (*ears, death):
            poller.register(pipe, select.POLLIN)
        ready, look, end = False, 0.0, time.monotonic() + START_SECONDS
        while (now := time.monotonic()) < end:
            for pipe, _ in poller.poll(1000 * min(end - now, LOOK_SECONDS)):
                if pipe == death:
                    return ""
                if not ears[pipe].read():
                    poller.unregister(pipe)
            if not ready and report.kept.startswith(READY):
                ready, end = True, time.monotonic() + limits.seconds
            if now > look:
                look = now + LOOK_SECONDS
                if excess := _excess(child, scratch, SCRATCH_FILES * limits.files):
                    return f"blocked: {excess}"
    return f"timed out after {limits.seconds if ready else START_SECONDS:g} s"


def _excess(child: int, scratch: Path, most: int) -> str:
    """What no limit of the kernel's holds: RLIMIT_NPROC does not bind root, and none is for a folder."""
    with suppress(FileNotFoundError):
        if len(os.listdir(f"/proc/{child}/task")) > THREADS:
            return f"more than {THREADS} threads"
    return f"more than {most} bytes or {SCRATCH_ENTRIES} files in the folder" if _overfull(scratch, most) else ""


def _overfull(scratch: Path, most: int) -> bool:
    """Whether the folder holds too much, as far as one can see: what is nested beyond the longest path is not seen."""
    pending, entries, size = [str(scratch)], 0, 0
    while pending:
        with suppress(OSError), os.scandir(pending.pop()) as found:
            for entry in found:
                entries += 1
                size += entry.stat(follow_symlinks=False).st_blocks * 512
                if size > most or entries > SCRATCH_ENTRIES:
                    return True
                if entry.is_dir(follow_symlinks=False):
                    pending.append(entry.path)
    return False


def _kill(process: "subprocess.Popen[bytes]") -> None:
    """Before it is waited for: until then no other process has its number."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def _remove(outer: Path) -> None:
    """Deletes a folder level by level, so that it may be nested deeper than paths and recursion reach."""
    pending, moved = [outer / "scratch"], 0
    while pending:
        folder = pending.pop()
        for entry in list(os.scandir(folder)):
            if entry.is_dir(follow_symlinks=False):
                moved += 1
                pending.append(outer / str(moved))
                os.chmod(entry.path, 0o700)  # the code may have made it without a right
                os.rename(entry.path, pending[-1])
            else:
                os.unlink(entry.path)
        folder.rmdir()
    outer.rmdir()


def _reason(said: bytes, nonce: bytes, stopped: str, status: int, limits: Limits) -> str:
    """What became of the code, from what the child reported and how it died."""
    if said == nonce:
        return "passed"
    if stopped:
        return stopped
    if said:
        text = said.decode("utf-8", "replace")
        return text if text.startswith(("failed: ", "blocked: ", "out of memory")) else f"failed: {text}"
    if status == -signal.SIGXCPU:
        return f"timed out after {limits.seconds:g} s of processor time"
    if status < 0:
        return f"killed by signal {-status} ({signal.strsignal(-status)})"
    return f"failed: it ended itself with status {status} before its last line"


# The child's half. Everything up to ``_execute`` runs before the foreign code does, in one thread.


def _child() -> NoReturn:
    job = marshal.load(sys.stdin.buffer)
    with open(os.devnull) as nothing:
        os.dup2(nothing.fileno(), 0)
    del sys.modules["sandbox"]
    sys.argv, sys.path = [PROGRAM], sys.path + job["packages"]
    _lock(job)
    _execute(job["code"].decode("utf-8", "surrogatepass"), job["tell"], job["nonce"])


def _lock(job: dict[str, Any]) -> None:
    """Shuts every door. Raises OSError with the name of the one that does not close."""
    libc = ctypes.CDLL(None, use_errno=True)
    _done(libc.prctl(1, signal.SIGKILL, 0, 0, 0), "prctl(PR_SET_PDEATHSIG)")
    if os.getppid() != job["parent"]:
        raise OSError("its parent died")
    _limit(job)
    _drop_capabilities(libc)
    _done(libc.prctl(38, 1, 0, 0, 0), "prctl(PR_SET_NO_NEW_PRIVS)")
    _landlock(libc, job["scratch"], job["readable"])
    program = _filter(platform.machine(), os.getpid())
    code = ctypes.create_string_buffer(program, len(program))
    header = struct.pack("HP", len(program) // 8, ctypes.addressof(code))
    _done(libc.prctl(22, 2, header, 0, 0), "prctl(PR_SET_SECCOMP)")


def _done(result: int, what: str) -> int:
    if result < 0:
        raise OSError(ctypes.get_errno(), f"{what}: {os.strerror(ctypes.get_errno())}")
    return result


def _limit(job: dict[str, Any]) -> None:
    import resource  # not on every system on which this file is imported

    processor = math.ceil(time.process_time() + job["seconds"])
    wanted = {
        resource.RLIMIT_AS: job["memory"],
        resource.RLIMIT_FSIZE: job["files"],
        resource.RLIMIT_NPROC: job["threads"],
        resource.RLIMIT_NOFILE: 64,
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_CPU: processor + 1,
    }
    for which, most in wanted.items():
        hard = resource.getrlimit(which)[1]
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(which, (most, most))
    resource.setrlimit(resource.RLIMIT_CPU, (processor, processor + 1))


def _drop_capabilities(libc: ctypes.CDLL) -> None:
    """All but CAP_DAC_READ_SEARCH: in a container, root may need it to read a Python that belongs to somebody else."""
    header, sets = struct.pack("Ii", 0x20080522, 0), ctypes.create_string_buffer(24)
    _done(libc.capget(header, sets), "capget")
    effective, permitted, _, *_ = struct.unpack("6I", sets.raw)
    kept = struct.pack("6I", effective & 4, permitted & 4, 0, 0, 0, 0)
    _done(libc.capset(header, kept), "capset")


def _landlock_version() -> int:
    """Of Landlock's interface, 1 or more; where there is none, the error's number, negative."""
    libc = ctypes.CDLL(None, use_errno=True)
    version = libc.syscall(444, None, ctypes.c_size_t(0), 1)
    return -ctypes.get_errno() if version < 0 else int(version)


def _landlock(libc: ctypes.CDLL, scratch: str, readable: list[str]) -> None:
    """linux/landlock.h: rights are bits, and each version of the interface knows more of them."""
    version = _landlock_version()
    known = (1 << {1: 13, 2: 14, 3: 15, 4: 15}.get(version, 16)) - 1
    rules = struct.pack("QQQ", known, 3, 3)[: 8 if version < 4 else 16 if version < 6 else 24]
    ruleset = _done(libc.syscall(444, rules, ctypes.c_size_t(len(rules)), 0), "landlock_create_ruleset")
    run, devices, read_file, read = 1 << 0, 1 << 6 | 1 << 9 | 1 << 11, 1 << 2, 1 << 2 | 1 << 3
    for path in readable:
        _allow(libc, ruleset, path, read if os.path.isdir(path) else read_file)
    _allow(libc, ruleset, os.devnull, (1 << 1 | 1 << 2 | 1 << 14) & known)
    _allow(libc, ruleset, scratch, known & ~(run | devices))
    _done(libc.syscall(446, ruleset, 0), "landlock_restrict_self")
    os.close(ruleset)


def _allow(libc: ctypes.CDLL, ruleset: int, path: str, rights: int) -> None:
    """The rights to a file, or to all that is below a folder. A path that is not there needs none."""
    with suppress(FileNotFoundError):
        place = os.open(path, os.O_PATH | os.O_CLOEXEC)
        rule = struct.pack("=Qi", rights, place)
        _done(libc.syscall(445, ruleset, 1, rule, 0), f"landlock_add_rule({path})")
        os.close(place)


def _filter(machine: str, pid: int) -> bytes:
    """The seccomp program: classic BPF (linux/bpf_common.h) over struct seccomp_data (linux/seccomp.h)."""
    word, column = MACHINES[machine]
    allow, done, refuse, unknown = 0x7FFF0000, 0x50000, 0x50000 | errno.EPERM, 0x50000 | errno.ENOSYS
    lines = [_line(LOAD, 4), _line(EQUAL, word, 1, 0), _line(RETURN, 0x80000000), _line(LOAD, 0)]
    for listed, answer in ((ALLOWED, allow), (IGNORED, done)):
        for number in _numbers(listed, column).values():
            lines += [_line(EQUAL, number, 0, 1), _line(RETURN, answer)]
    for name, number in _numbers(CONDITIONAL, column).items():
        block = [line for condition in _conditions(pid)[name] for line in _check(*condition, refuse)]
        lines += [_line(EQUAL, number, 0, len(block) + 1), *block, _line(RETURN, allow)]
    return b"".join([*lines, _line(AT_LEAST, YOUNG, 0, 1), _line(RETURN, unknown), _line(RETURN, refuse)])


LOAD, MASK, EQUAL, AT_LEAST, RETURN = 0x20, 0x54, 0x15, 0x35, 0x06


def _line(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    """The jumps are counts of lines to leave out."""
    return struct.pack("HBBI", code, if_true, if_false, value)


def _check(argument: int, mask: int, values: tuple[int, ...], refuse: int) -> list[bytes]:
    """Goes on behind its last line where the argument is one of the values. Its low half counts: all are ints."""
    equal = [_line(EQUAL, value, len(values) - at, 0) for at, value in enumerate(values)]
    return [_line(LOAD, 16 + 8 * argument), _line(MASK, mask), *equal, _line(RETURN, refuse)]


def _numbers(listed: str, column: int) -> dict[str, int]:
    """Names to numbers, in the order of the list; a call that this architecture does not have is left out."""
    pairs = [word.split("=") for word in listed.split()]
    return {name: int(number) for name, both in pairs if (number := both.split("/")[column]) != "-"}


def _conditions(pid: int) -> dict[str, list[tuple[int, int, tuple[int, ...]]]]:
    """For each call, the arguments that it depends on: which, under which mask, and the values that are let through.

    Landlock before its third version lets a file be emptied that is opened for reading only, hence ``open``.
    """
    every, cut = 0xFFFFFFFF, os.O_TRUNC
    modes = (os.O_RDONLY, os.O_WRONLY, os.O_RDWR, os.O_WRONLY | cut, os.O_RDWR | cut)
    return {
        "open": [(1, os.O_ACCMODE | cut, modes)],
        "openat": [(2, os.O_ACCMODE | cut, modes)],
        "clone": [(0, every, (0x3D0F00, 0x7D0F00))],  # what glibc and musl ask for a thread
        "kill": [(0, every, (pid,))],
        "tgkill": [(0, every, (pid,))],
        "prlimit64": [(0, every, (0, pid))],
        # F_DUPFD, F_GETFD to F_SETLKW, F_OFD_*, F_DUPFD_CLOEXEC; not F_SETOWN, by which a signal goes elsewhere
        "fcntl": [(1, every, (0, 1, 2, 3, 4, 5, 6, 7, 36, 37, 38, 1030))],
        "ioctl": [(1, every, (0x5401, 0x5413, 0x541B, 0x5421, 0x5450, 0x5451))],  # isatty, size, blocking, inheriting
        "prctl": [(0, every, (15, 16, 0x53564D41))],  # names of threads and of memory
        # A pair of connected stream sockets, out of which no way leads: asyncio wakes itself through one.
        "socketpair": [(0, every, (1,)), (1, every & ~0x80800, (1,))],
    }


def _execute(code: str, tell: int, nonce: bytes) -> NoReturn:
    """Runs the code and reports. The token is written on one path only, behind the last line of the code.

    What the report needs is taken hold of first: the code may put anything in the place of builtins and modules.
    """
    write, leave, streams = os.write, os._exit, (sys.stdout, sys.stderr)
    main = ModuleType("__main__")
    main.__file__, sys.modules["__main__"] = PROGRAM, main
    linecache.cache[PROGRAM] = (len(code), None, code.splitlines(keepends=True), PROGRAM)
    write(tell, READY)
    try:
        exec(compile(code, PROGRAM, "exec", dont_inherit=True), main.__dict__)
    except BaseException as error:
        write(tell, _explain(error))
        _flush(streams)
        with suppress(BaseException):
            own = error.__traceback__ and error.__traceback__.tb_next
            traceback.print_exception(type(error), error, own, file=streams[1])
        _flush(streams)
        leave(1)
    write(tell, nonce)
    _flush(streams)
    leave(0)


def _flush(streams: tuple[Any, ...]) -> None:
    for stream in streams:
        with suppress(BaseException):
            stream.flush()


def _explain(error: BaseException) -> bytes:
    """The report of a failure, in one line."""
    if isinstance(error, MemoryError):
        return b"out of memory"
    refused = isinstance(error, OSError) and error.errno in (errno.EPERM, errno.EACCES, errno.ENOSYS)
    lines = [line for line in traceback.extract_tb(error.__traceback__) if line.filename == PROGRAM]
    where = f" (line {lines[-1].lineno}: {lines[-1].line})" if lines else ""
    what = " ".join(traceback.format_exception_only(error)[-1].split())[:300]
    return f"{'blocked' if refused else 'failed'}: {what}{where[:300]}".encode("utf-8", "replace")
