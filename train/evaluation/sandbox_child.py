"""The child process of the sandbox (``train.evaluation.sandbox``): restricts itself, then runs the code.

Everything up to ``execute`` runs before the foreign code, in one thread. The child imports this file alone, so it uses
the standard library only.
"""

import ctypes
import errno
import linecache
import marshal
import math
import os
import platform
import signal
import struct
import sys
import time
import traceback
from contextlib import suppress
from types import ModuleType
from typing import Any, NoReturn

READY = b"locked in\n"
PROGRAM = "<program>"

# The architecture's number in seccomp (linux/audit.h), and the index of its number in each pair below.
MACHINES = {"x86_64": (0xC000003E, 0), "aarch64": (0xC00000B7, 1)}

# System calls by name, with their numbers on x86_64 and aarch64 (asm/unistd_64.h, asm-generic/unistd.h). An allow-list,
# since a deny-list becomes incomplete with each new kernel.
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

# These calls report success and do nothing. Landlock does not cover modes and times of files, so the calls would work
# outside the scratch folder; a refusal would make ``shutil.copy`` fail.
IGNORED = """
    chmod=90/- fchmod=91/52 fchmodat=268/53 utime=132/- utimes=235/- futimesat=261/- utimensat=280/88
"""

# Allowed if each listed argument, under its mask, has one of the values in ``_conditions``.
CONDITIONAL = """
    open=2/- openat=257/56 clone=56/220 kill=62/129 tgkill=234/131 prlimit64=302/261 fcntl=72/25 ioctl=16/29
    prctl=157/167 socketpair=53/199
"""
NEW_CALLS = 424  # calls from this number on get ENOSYS: they are new, so the C library has a fallback


def child() -> NoReturn:
    """Run in the child: read the job from stdin, apply the restrictions, run the code."""
    job = marshal.load(sys.stdin.buffer)
    with open(os.devnull) as nothing:
        os.dup2(nothing.fileno(), 0)
    del sys.modules["sandbox_child"]
    sys.argv, sys.path = [PROGRAM], sys.path + job["packages"]
    _lock(job)
    execute(job["code"].decode("utf-8", "surrogatepass"), job["report"], job["nonce"])


def _lock(job: dict[str, Any]) -> None:
    """Apply every restriction. Raises OSError with the name of a restriction that fails."""
    libc = ctypes.CDLL(None, use_errno=True)
    _done(libc.prctl(1, signal.SIGKILL, 0, 0, 0), "prctl(PR_SET_PDEATHSIG)")
    if os.getppid() != job["parent"]:
        raise OSError("its parent died")
    _limit(job)
    _drop_capabilities(libc)
    _done(libc.prctl(38, 1, 0, 0, 0), "prctl(PR_SET_NO_NEW_PRIVS)")
    _landlock(libc, job["scratch"], job["readable"])
    program = system_calls(platform.machine(), os.getpid())
    code = ctypes.create_string_buffer(program, len(program))
    header = struct.pack("HP", len(program) // 8, ctypes.addressof(code))
    _done(libc.prctl(22, 2, header, 0, 0), "prctl(PR_SET_SECCOMP)")


def _done(result: int, what: str) -> int:
    if result < 0:
        raise OSError(ctypes.get_errno(), f"{what}: {os.strerror(ctypes.get_errno())}")
    return result


def _limit(job: dict[str, Any]) -> None:
    import resource  # missing on some systems that import this file

    processor = math.ceil(time.process_time() + job["seconds"])
    ceilings = {
        resource.RLIMIT_AS: job["memory"],
        resource.RLIMIT_FSIZE: job["files"],
        resource.RLIMIT_NPROC: job["threads"],
        resource.RLIMIT_NOFILE: 64,
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_CPU: processor + 1,
    }
    for which, most in ceilings.items():
        hard = resource.getrlimit(which)[1]
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(which, (most, most))
    resource.setrlimit(resource.RLIMIT_CPU, (processor, processor + 1))


def _drop_capabilities(libc: ctypes.CDLL) -> None:
    """Drop all capabilities but CAP_DAC_READ_SEARCH: in a container, root may need it to read another user's Python."""
    header, sets = struct.pack("Ii", 0x20080522, 0), ctypes.create_string_buffer(24)
    _done(libc.capget(header, sets), "capget")
    effective, permitted, _, *_ = struct.unpack("6I", sets.raw)
    capabilities = struct.pack("6I", effective & 4, permitted & 4, 0, 0, 0, 0)
    _done(libc.capset(header, capabilities), "capset")


def landlock_version() -> int:
    """Version of Landlock's interface, 1 or more; without Landlock, the negative error number."""
    libc = ctypes.CDLL(None, use_errno=True)
    version = libc.syscall(444, None, ctypes.c_size_t(0), 1)
    return -ctypes.get_errno() if version < 0 else int(version)


def _landlock(libc: ctypes.CDLL, scratch: str, readable: list[str]) -> None:
    """Restrict file access (linux/landlock.h). Rights are bits; each version of the interface has more of them."""
    version = landlock_version()
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
    """Grant rights to a file, or to everything in a folder. A missing path is skipped."""
    with suppress(FileNotFoundError):
        place = os.open(path, os.O_PATH | os.O_CLOEXEC)
        rule = struct.pack("=Qi", rights, place)
        _done(libc.syscall(445, ruleset, 1, rule, 0), f"landlock_add_rule({path})")
        os.close(place)


def system_calls(machine: str, pid: int) -> bytes:
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
    return b"".join([*lines, _line(AT_LEAST, NEW_CALLS, 0, 1), _line(RETURN, unknown), _line(RETURN, refuse)])


LOAD, MASK, EQUAL, AT_LEAST, RETURN = 0x20, 0x54, 0x15, 0x35, 0x06


def _line(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    """One instruction; jumps are numbers of lines to skip."""
    return struct.pack("HBBI", code, if_true, if_false, value)


def _check(argument: int, mask: int, values: tuple[int, ...], refuse: int) -> list[bytes]:
    """Instructions that refuse unless the argument has one of the values. Only the low half of an argument is compared:
    all are ints."""
    equal = [_line(EQUAL, value, len(values) - at, 0) for at, value in enumerate(values)]
    return [_line(LOAD, 16 + 8 * argument), _line(MASK, mask), *equal, _line(RETURN, refuse)]


def _numbers(listed: str, column: int) -> dict[str, int]:
    """Numbers by name, in the order of the list, without calls that this architecture lacks."""
    pairs = [word.split("=") for word in listed.split()]
    return {name: int(number) for name, both in pairs if (number := both.split("/")[column]) != "-"}


def _conditions(pid: int) -> dict[str, list[tuple[int, int, tuple[int, ...]]]]:
    """For each call: the arguments to check, each with its index, its mask and the permitted values.

    Before its third version, Landlock lets a file be truncated that is opened for reading only, hence ``open``.
    """
    every, cut = 0xFFFFFFFF, os.O_TRUNC
    modes = (os.O_RDONLY, os.O_WRONLY, os.O_RDWR, os.O_WRONLY | cut, os.O_RDWR | cut)
    return {
        "open": [(1, os.O_ACCMODE | cut, modes)],
        "openat": [(2, os.O_ACCMODE | cut, modes)],
        "clone": [(0, every, (0x3D0F00, 0x7D0F00))],  # the flags of a thread in glibc and musl
        "kill": [(0, every, (pid,))],
        "tgkill": [(0, every, (pid,))],
        "prlimit64": [(0, every, (0, pid))],
        # F_DUPFD, F_GETFD to F_SETLKW, F_OFD_*, F_DUPFD_CLOEXEC; not F_SETOWN, which can send a signal to another
        # process
        "fcntl": [(1, every, (0, 1, 2, 3, 4, 5, 6, 7, 36, 37, 38, 1030))],
        "ioctl": [(1, every, (0x5401, 0x5413, 0x541B, 0x5421, 0x5450, 0x5451))],  # isatty, size, blocking, inheriting
        "prctl": [(0, every, (15, 16, 0x53564D41))],  # names of threads and of memory
        # A pair of stream sockets, connected to each other only: asyncio wakes itself through one.
        "socketpair": [(0, every, (1,)), (1, every & ~0x80800, (1,))],
    }


def execute(code: str, report: int, nonce: bytes) -> NoReturn:
    """Run the code and report. The token is written in one place only, after the last line of the code.

    Functions for the report are bound first, since the code may replace builtins and modules.
    """
    write, leave, streams = os.write, os._exit, (sys.stdout, sys.stderr)
    main = ModuleType("__main__")
    main.__file__, sys.modules["__main__"] = PROGRAM, main
    linecache.cache[PROGRAM] = (len(code), None, code.splitlines(keepends=True), PROGRAM)
    write(report, READY)
    try:
        exec(compile(code, PROGRAM, "exec", dont_inherit=True), main.__dict__)
    except BaseException as error:
        write(report, _explain(error))
        _flush(streams)
        with suppress(BaseException):
            trace = error.__traceback__ and error.__traceback__.tb_next
            traceback.print_exception(type(error), error, trace, file=streams[1])
        _flush(streams)
        leave(1)
    write(report, nonce)
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
