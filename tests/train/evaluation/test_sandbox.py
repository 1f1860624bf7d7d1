"""Code that tries to get out of the sandbox, and code that must be able to run in it.

Each attempt in HARMS is also made without the sandbox, where it has to succeed: else its failure would show nothing.
"""

import errno
import os
import resource
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.paths import ROOT
from train.evaluation import sandbox, sandbox_child
from train.evaluation.sandbox import Limits, SandboxError, available, run_python

pytestmark = pytest.mark.skipif(available() is not None, reason=f"no sandbox here: {available()}")
SECRET = "correct-horse-battery-staple"
SHORT = Limits(seconds=0.5)


@pytest.fixture(autouse=True)
def scratch_parent(tmp_path_factory, monkeypatch):
    """Where scratch folders are made: empty again after every test."""
    folder = tmp_path_factory.mktemp("scratch")
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    yield folder
    assert list(folder.iterdir()) == []


class World:
    """What an attempt may reach for: a file, a folder, a process, servers, a variable of the environment."""

    def __init__(self, folder):
        self.folder, self.secret, self.fresh = folder, folder / "secret.txt", folder / "fresh.txt"
        self.secret.write_text(SECRET)
        os.utime(self.secret, (1e9, 1e9))
        self.secret.chmod(0o640)
        self.signals = []
        self.victim = subprocess.Popen(["sleep", "60"])
        self.tcp = socket.create_server(("127.0.0.1", 0))
        self.udp = socket.socket(type=socket.SOCK_DGRAM)
        self.unix = socket.socket(socket.AF_UNIX)
        self.udp.bind(("127.0.0.1", 0))
        self.unix.bind(str(folder / "socket"))
        self.unix.listen()
        for server in (self.tcp, self.udp, self.unix):
            server.setblocking(False)

    def names(self):
        """What an attempt's code may name: put before it, as assignments."""
        values = {
            "folder": str(self.folder), "secret": str(self.secret), "fresh": str(self.fresh),
            "port": self.tcp.getsockname()[1], "udp": self.udp.getsockname()[1], "unix": str(self.folder / "socket"),
            "victim": self.victim.pid, "parent": os.getpid(),
        }  # fmt: skip
        return "works = 'it ' + 'works'\n" + "".join(f"{name} = {value!r}\n" for name, value in values.items())

    def reached(self):
        return any(_reached(server) for server in (self.tcp, self.udp, self.unix))

    def written(self):
        return self.fresh.exists()

    def changed(self):
        if not self.secret.exists() or len(list(self.folder.iterdir())) != 2:
            return True
        now = self.secret.stat()
        return self.secret.read_text() != SECRET or now.st_mode & 0o777 != 0o640 or int(now.st_mtime) != 10**9

    def hurt(self):
        time.sleep(0.05)  # a signal takes a moment
        limits = resource.prlimit(self.victim.pid, resource.RLIMIT_NOFILE)[0]
        return self.victim.poll() is not None or bool(self.signals) or limits == 3

    def close(self):
        self.victim.kill()
        self.victim.wait()
        for server in (self.tcp, self.udp, self.unix):
            server.close()


def _reached(server):
    try:
        if server.type == socket.SOCK_DGRAM:
            return bool(server.recv(10))
        server.accept()[0].close()
    except BlockingIOError:
        return False
    return True


@pytest.fixture
def world(tmp_path, monkeypatch):
    monkeypatch.setenv("API_TOKEN", SECRET)
    folder = tmp_path / "world"
    folder.mkdir()
    world = World(folder)
    before = signal.signal(signal.SIGWINCH, lambda number, _: world.signals.append(number))
    yield world
    signal.signal(signal.SIGWINCH, before)
    world.close()


def reached(world, output):
    return world.reached()


def written(world, output):
    return world.written()


def changed(world, output):
    return world.changed()


def hurt(world, output):
    return world.hurt()


def leaked(world, output):
    return SECRET in output


def done(world, output):
    return "it works" in output  # never so in the code, which a traceback may show


CTYPES = "import ctypes, struct, socket; libc = ctypes.CDLL(None, use_errno=True)\n"
HARMS = {
    "tcp": (reached, "import socket; socket.create_connection(('127.0.0.1', port), 2)"),
    "udp": (reached, "import socket; socket.socket(type=socket.SOCK_DGRAM).sendto(b'x', ('127.0.0.1', udp))"),
    "unix socket": (reached, "import socket; socket.socket(socket.AF_UNIX).connect(unix)"),
    "http": (reached, "import urllib.request; urllib.request.urlopen(f'http://127.0.0.1:{port}', timeout=0.2)"),
    "libc.socket": (
        reached,
        CTYPES + "where = struct.pack('=HH', 2, socket.htons(port)) + bytes([127, 0, 0, 1]) + bytes(8)\n"
        "libc.connect(libc.socket(2, 1, 0), where, 16)",
    ),
    "name": (done, "import socket; socket.getaddrinfo('localhost', 80); print(works)"),
    "server": (done, "import socket; socket.create_server(('127.0.0.1', 0)); print(works)"),
    "datagram pair": (done, "import socket; socket.socketpair(type=socket.SOCK_DGRAM); print(works)"),
    "fork": (done, "import os\nif os.fork() == 0:\n    print(works, flush=True)\n    os._exit(0)\nos.wait()"),
    "clone by number": (
        done,
        CTYPES + "import os, platform\n"
        "number = {'x86_64': 56, 'aarch64': 220}[platform.machine()]\n"
        "if (child := libc.syscall(number, 17, 0, 0, 0, 0)) == 0:\n    os._exit(0)\n"
        "if child > 0:\n    os.waitpid(child, 0)\n    print(works)",
    ),
    "multiprocessing": (
        done,
        "import multiprocessing as m\n"
        "p = m.get_context('fork').Process(target=print, args=(works,)); p.start(); p.join()",
    ),
    "subprocess": (done, "import subprocess; print(subprocess.check_output(['echo', works], text=True))"),
    "os.system": (done, "import os; os.system('echo ' + works)"),
    "exec": (done, "import os; os.execv('/bin/echo', ['echo', works])"),
    "spawn": (done, "import os; os.posix_spawn('/bin/echo', ['echo', works], {}); os.wait()"),
    "write in a folder": (written, "open(fresh, 'w').write('x')"),
    "write by libc": (written, CTYPES + "libc.creat(fresh.encode(), 0o600)"),
    "write through a link": (written, "import os; os.symlink(folder, '_link'); open('_link/fresh.txt', 'w')"),
    "mkdir": (changed, "import os; os.mkdir(folder + '/new')"),
    "overwrite": (changed, "open(secret, 'r+').write('x')"),
    "delete": (changed, "import os; os.remove(secret)"),
    "delete all": (changed, "import shutil; shutil.rmtree(folder)"),
    "rename": (changed, "import os; os.rename(secret, secret + '2')"),
    "truncate": (changed, "import os; os.truncate(secret, 1)"),
    "truncate by opening": (changed, "import os; os.open(secret, os.O_RDONLY | os.O_TRUNC)"),
    "hard link": (changed, "import os; os.link(secret, '_hard'); open('_hard', 'w')"),
    "mode": (changed, "import os; os.chmod(secret, 0o777)"),
    "times": (changed, "import os; os.utime(secret, (1, 1))"),
    "read": (leaked, "print(open(secret).read())"),
    "read through a link": (leaked, "import os; os.symlink(secret, '_link'); print(open('_link').read())"),
    "read by libc": (
        leaked,
        CTYPES + "text = ctypes.create_string_buffer(99); libc.read(libc.open(secret.encode(), 0), text, 98)\n"
        "print(text.value.decode())",
    ),
    "list": (done, "import os; assert 'secret.txt' in os.listdir(folder); print(works)"),
    "environment": (leaked, "import os; print(dict(os.environ))"),
    "environment of another process": (leaked, "print(open(f'/proc/{victim}/environ').read())"),
    "environment by /proc/self": (leaked, "print(open('/proc/self/environ').read())"),
    "/proc/self/mem": (done, "open('/proc/self/mem', 'r+b'); print(works)"),
    "/proc/self/oom_score_adj": (done, "open('/proc/self/oom_score_adj', 'w').write('0'); print(works)"),
    "/proc/self/root": (leaked, "print(open('/proc/self/root' + secret).read())"),
    "kill": (hurt, "import os; os.kill(victim, 9)"),
    "signal to the parent": (hurt, "import os, signal; os.kill(os.getppid(), signal.SIGWINCH)"),
    "signal to the parent's threads": (
        hurt,
        CTYPES + "import platform\n"
        "libc.syscall({'x86_64': 234, 'aarch64': 131}[platform.machine()], parent, parent, 28)",
    ),
    "signal by pidfd": (hurt, "import os, signal; signal.pidfd_send_signal(os.pidfd_open(victim), 9)"),
    "signal by a pipe": (
        hurt,
        "import os, fcntl\nread, write = os.pipe()\nfcntl.fcntl(read, fcntl.F_SETOWN, victim)\n"
        "fcntl.fcntl(read, fcntl.F_SETFL, os.O_ASYNC)\nos.write(write, b'x')",
    ),
    "limits of another": (hurt, "import resource; resource.prlimit(victim, resource.RLIMIT_NOFILE, (3, 3))"),
    "priority": (done, "import os; os.setpriority(os.PRIO_PROCESS, victim, 5); print(works)"),
    "memory without a name": (done, "import os; os.memfd_create('x'); print(works)"),
}


@pytest.mark.parametrize("attempt", HARMS)
def test_does_no_harm(attempt, world):
    harm, code = HARMS[attempt]
    outcome = run_python(world.names() + code, Limits(seconds=5))
    assert not harm(world, outcome.output), outcome
    assert "NameError" not in outcome.output, "the attempt itself is wrong"
    assert "SyntaxError" not in outcome.output, "the attempt itself is wrong"


@pytest.mark.parametrize("attempt", HARMS)
def test_would_do_harm_without(attempt, world, tmp_path):
    harm, code = HARMS[attempt]
    ran = subprocess.run(
        [sys.executable, "-c", world.names() + code], cwd=tmp_path, capture_output=True, text=True, timeout=30
    )
    assert harm(world, ran.stdout), ran


@pytest.mark.parametrize("folder", ["/tmp", "/var/tmp", "/dev/shm", str(Path.home()), str(ROOT), sys.prefix, ".."])
def test_writes_nowhere_else(folder, scratch_parent):
    outcome = run_python(f"open({folder!r} + '/.sandbox-escaped', 'w')")
    assert outcome.reason.startswith("blocked: PermissionError: [Errno 13]"), outcome
    assert not Path(folder, ".sandbox-escaped").exists()


@pytest.mark.parametrize(
    "code",
    [
        "libc.ptrace(16, victim, 0, 0)",
        "libc.unshare(0x10000000)",
        "libc.mount(b'none', b'/tmp', b'tmpfs', 0, None)",
        "libc.chroot(b'.')",
        "libc.personality(0)",
        "libc.setpgid(0, 0)",
        "libc.mlockall(1)",
        "libc.shmget(0, 4096, 0o1600)",
        "libc.inotify_init()",
        "libc.prctl(4, 0, 0, 0, 0)",
        "libc.syscall(425, 4, bytes(120))",  # io_uring_setup
        "libc.syscall(435, bytes(88), 88)",  # clone3
        "libc.syscall(1 << 30 | 41, 2, 1, 0)",  # socket, of the x32 interface
    ],
)
def test_calls_that_are_refused(code, world):
    result = run_python(world.names() + CTYPES + f"assert {code} == -1\nprint(ctypes.get_errno())")
    assert result.passed, result
    assert int(result.output) in (errno.EPERM, errno.ENOSYS)


@pytest.mark.parametrize(
    "code",
    [
        "import sys; sys.exit(0)",
        "import os; os._exit(0)",
        "raise SystemExit",
        "raise SystemExit(0)",
        "raise KeyboardInterrupt",
        "raise BaseException",
        "import os; os.abort()",
        "import os; os.kill(os.getpid(), 9)",
        "import os; os.kill(os.getpid(), 15)",
        "import ctypes; ctypes.CDLL(None)._exit(0)",
        "import threading, os, time; threading.Thread(target=os._exit, args=(0,)).start(); time.sleep(9)",
        "import atexit, os; atexit.register(os._exit, 0); raise SystemExit",
        "import unittest; unittest.main()",
        "import signal, os, time; signal.signal(14, lambda *_: os._exit(0)); signal.alarm(1); time.sleep(9)",
        "import os\nfor fd in range(3, 9):\n    try: os.write(fd, b'passed')\n    except OSError: pass\nos._exit(0)",
        "import os\nos.closerange(0, 64)\nos._exit(0)",
        "import os\nos.closerange(0, 64)\nassert False",
        "import builtins; builtins.BaseException = KeyError; assert False",
        "import builtins; builtins.BaseException = builtins.isinstance = builtins.len = None; assert False",
        "import builtins; builtins.AssertionError = SystemExit; assert False",
        "import os, sys; os._exit = sys.exit = lambda *_: None; assert False",
        "import os; os.write = lambda *_: 0; assert False",
        "import traceback; traceback.extract_tb = traceback.print_exception = None; assert False",
        "import sys; sys.excepthook = lambda *_: None; sys.stderr = sys.stdout = None; assert False",
        "class E(Exception):\n    def __str__(self): raise SystemExit(0)\nraise E",
        "class E(Exception):\n    def __str__(self):\n        import os; os._exit(0)\nraise E",
        "def f(:",
        "x = '\ud800'",
        "a\0b",
    ],
)
def test_leaving_early_is_not_passing(code):
    outcome = run_python(code + "\nassert False", Limits(seconds=5))
    assert not outcome.passed
    assert outcome.reason.startswith(("failed: ", "killed by signal ")), outcome


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("assert 1 + 1 == 3", "failed: AssertionError (line 1: assert 1 + 1 == 3)"),
        ("def f():\n    return 1 / 0\nf()", "failed: ZeroDivisionError: division by zero (line 2: return 1 / 0)"),
        ("open('a')", "failed: FileNotFoundError: [Errno 2] No such file or directory: 'a' (line 1: open('a'))"),
        ("open('/')", "blocked: PermissionError: [Errno 13] Permission denied: '/' (line 1: open('/'))"),
        ("raise PermissionError('mine')", "failed: PermissionError: mine (line 1: raise PermissionError('mine'))"),
        ("import os; os._exit(3)", "failed: the code exited with status 3 before its last line"),
        ("import ctypes; ctypes.string_at(0)", "killed by signal 11 (Segmentation fault)"),
        ("import os; os.kill(os.getpid(), 24)", "timed out after 10 s of processor time"),  # SIGXCPU
        ("b'x' * (1 << 40)", "out of memory"),
        ("x = []\nwhile True: x.append(bytearray(1 << 20))", "out of memory"),
        ("import numpy; numpy.ones(1 << 40)", "out of memory"),
        ("def f(:", "failed: SyntaxError: invalid syntax"),
    ],
)  # fmt: skip
def test_reasons(code, reason):
    assert run_python(code).reason == reason


WORKS = {
    "nothing": "",
    "main": "assert __name__ == '__main__'",
    "threads": "from concurrent.futures import ThreadPoolExecutor as T\nassert list(T(8).map(abs, [-1, 2])) == [1, 2]",
    "asyncio": "import asyncio\nasync def f():\n    assert await asyncio.to_thread(abs, -3) == 3\nasyncio.run(f())",
    "numpy": "import numpy as np\na = np.ones((99, 99)); assert (a @ a).sum() == 99 ** 3; np.linalg.svd(a)",
    "scratch": "open('a', 'w').write('x'); assert open('a').read() == 'x'",
    "home": "from pathlib import Path; (Path.home() / 'a').write_text('x'); assert Path('a').exists()",
    "temporary files": "import tempfile\nwith tempfile.TemporaryDirectory() as t: open(t + '/x', 'w')",
    "copies": "import os, shutil\nos.makedirs('a/b'); open('a/b/c', 'w'); shutil.copytree('a', 'd')\n"
    "shutil.copy2('a/b/c', 'e'); shutil.move('d', 'f'); assert os.path.exists('f/b/c'); shutil.rmtree('f')",
    "archives": "import shutil; open('x', 'w'); shutil.make_archive('a', 'gztar', '.', 'x')\n"
    "shutil.unpack_archive('a.tar.gz', 'b'); assert open('b/x').read() == ''",
    "sqlite": "import sqlite3; c = sqlite3.connect('db'); c.execute('create table t(a)'); c.commit(); c.close()",
    "devices": "import os; open('/dev/null', 'w').write('x'); open('/dev/urandom', 'rb').read(1); os.urandom(1)",
    "pickle": "import pickle\nfrom dataclasses import dataclass\n@dataclass\nclass A:\n    x: 'int'\n"
    "assert pickle.loads(pickle.dumps(A(1))) == A(1)",
    "source": "import inspect\ndef f():\n    return 1\nclass A:\n    x = 1\nassert 'return 1' in inspect.getsource(f)\n"
    "assert 'x = 1' in inspect.getsource(A)",
    "time": "import time, zoneinfo, datetime; time.sleep(0.01); datetime.datetime.now(zoneinfo.ZoneInfo('UTC'))",
    "signals": "import signal, os\nseen = []\nsignal.signal(10, lambda *_: seen.append(1))\n"
    "os.kill(os.getpid(), 10); signal.raise_signal(10); assert seen == [1, 1]",
    "no input": "try:\n    input()\nexcept EOFError:\n    pass",
    "caught": "import socket\ntry:\n    socket.socket()\nexcept PermissionError:\n    pass",
    "fixed hashes": "import sys; assert sys.flags.hash_randomization == 0",
    "imports": "import platform, uuid, ssl, ctypes, mmap, logging, multiprocessing; platform.platform(); uuid.uuid1()",
    "replaced streams": "import sys, io; print('x'); sys.stdout = io.StringIO()",
    "a thread that is left": "import threading, time; threading.Thread(target=time.sleep, args=(60,)).start()",
    "a thread that prints": "import threading\ndef f():\n    while True: print(1)\nthreading.Thread(target=f).start()",
}  # fmt: skip


@pytest.mark.parametrize("case", WORKS)
def test_ordinary_code_works(case):
    outcome = run_python(WORKS[case])
    assert (outcome.passed, outcome.reason) == (True, "passed"), outcome


def test_nothing_but_the_scratch_folder_is_inherited(scratch_parent):
    outcome = run_python(
        "import os, fcntl\nprint(os.getcwd())\nprint(*os.environ)\nopen_ = []\n"
        "for fd in range(4096):\n    try: fcntl.fcntl(fd, fcntl.F_GETFD); open_.append(fd)\n    except OSError: pass\n"
        "print(len(open_), os.listdir())"
    )
    where, names, rest = outcome.output.splitlines()
    assert Path(where).parent.parent == scratch_parent
    known = {"HOME", "LANG", "PATH", "TMPDIR", "PYTHONHASHSEED", "MALLOC_ARENA_MAX", "LD_LIBRARY_PATH"}
    assert set(names.split()) <= known | {"OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"}
    assert rest == "4 []"  # stdin, which is empty; stdout; stderr; the report


SPIN = "while True: pass"
ENDLESS = {
    "loop": SPIN,
    "sleep": "import time; time.sleep(600)",
    "signals ignored": "import signal\nfor n in (1, 2, 15, 24): signal.signal(n, signal.SIG_IGN)\n" + SPIN,
    "stopped": "import os; os.kill(os.getpid(), 19)",
    "output": "import os\nwhile True: os.write(1, b'x' * 65536)",
    "pipes closed": "import os\nos.closerange(0, 64)\n" + SPIN,
    "caught": "while True:\n    try:\n        while True: pass\n    except BaseException: pass",
    "exception's words": "class E(Exception):\n    def __str__(self):\n        while True: pass\nraise E",
}


@pytest.mark.parametrize("case", ENDLESS)
def test_endless_code_is_stopped(case):
    began = time.monotonic()
    outcome = run_python("import os; print(os.getpid(), flush=True)\n" + ENDLESS[case], SHORT)
    assert outcome.reason == "timed out after 0.5 s"
    assert time.monotonic() - began < 10  # 0.5 s, and what a busy machine adds
    assert len(outcome.output) <= SHORT.output
    assert not Path(f"/proc/{outcome.output.split()[0]}").exists()


def test_processor_time_counts_in_all_threads():
    work = "import hashlib\ndef f(_=0):\n    while True: hashlib.pbkdf2_hmac('sha256', b'x', b'y', 100000)\n"
    code = work + "import threading\nthreading.Thread(target=f).start()\nf()"
    outcome = run_python(code, SHORT)
    assert outcome.reason.startswith("timed out after 0.5 s")


def test_output_is_cut_and_the_code_goes_on():
    outcome = run_python("print('x' * 10_000_000)", Limits(output=1000))
    assert (outcome.passed, outcome.output) == (True, "x" * 1000)


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("open('a', 'wb').write(bytes(2 << 20))", "failed: OSError: [Errno 27] File too large"),
        ("open('a', 'wb').truncate(2 << 20)", "failed: OSError: [Errno 27] File too large"),
        ("for i in range(12): open(f'{i}', 'wb').write(bytes(1 << 20))\nwhile 1: 0", "blocked: more than 8388608"),
        ("for i in range(101): open(f'{i}', 'wb')\nwhile 1: pass", "blocked: more than 8388608 bytes or 100 files"),
        ("a = [open('a', 'w') for _ in range(99)]", "failed: OSError: [Errno 24] Too many open files"),
        ("import resource as r; r.setrlimit(r.RLIMIT_AS, (1 << 40, 1 << 40))", "failed: ValueError: not allowed"),
        ("from threading import *\nstack_size(32768)\nwhile 1: Thread(target=Event().wait).start()", ""),
        ("import os\nwhile True:\n    os.fork()", "blocked: PermissionError: [Errno 1]"),
    ],
)  # fmt: skip
def test_limits(code, reason, monkeypatch):
    monkeypatch.setattr(sandbox, "SCRATCH_ENTRIES", 100)
    outcome = run_python(code, Limits(files=1 << 20))
    assert not outcome.passed
    assert outcome.reason.startswith(reason), outcome


@pytest.mark.parametrize(
    "code",
    [
        "import os\nfor _ in range(200):\n    os.mkdir('d' * 200); os.chdir('d' * 200)",  # deeper than paths reach
        "import os\nos.mkdir('closed', 0)\nos.mkdir('a'); os.mkdir('a/closed', 0)",
        "import os; os.symlink('/', 'root'); os.symlink('nowhere', 'a'); open('b\\n\\x01', 'w'); open(b'\\xff', 'w')",
        "import os; os.mkdir('a'); open('a/b', 'w'); os.link('a/b', 'c')",
    ],
)
def test_every_folder_goes(code):
    """The fixture looks whether it has gone."""
    assert run_python(code).passed


def test_nothing_is_left_open():
    run_python("pass")
    before = os.listdir("/proc/self/fd")
    for code in ("pass", "assert False", "import os; os._exit(0)"):
        run_python(code)
    assert os.listdir("/proc/self/fd") == before


def test_several_at_once():
    codes = [f"import time; time.sleep(0.05); print({n}); assert {n} % 3" for n in range(12)]
    with ThreadPoolExecutor(4) as pool:
        outcomes = list(pool.map(run_python, codes))
    assert [outcome.passed for outcome in outcomes] == [n % 3 != 0 for n in range(12)]
    assert [outcome.output.splitlines()[0] for outcome in outcomes] == [str(n) for n in range(12)]


def test_the_child_dies_with_its_parent(tmp_path):
    """Killed with a signal that it cannot handle, the parent leaves no process."""
    code = "import os, time\nprint(os.getpid(), flush=True); time.sleep(60)"
    program = "import time\nfrom train.evaluation import sandbox\n" + (
        "def listen(child, *rest):\n    print(child, flush=True); time.sleep(60)\nsandbox._wait = listen\n"
    ) + f"sandbox.run_python({code!r})"  # fmt: skip
    parent = subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, env={**os.environ, "TMPDIR": str(tmp_path)}
    )
    child = Path(f"/proc/{parent.stdout.readline().strip()}")
    time.sleep(0.3)
    parent.kill()
    parent.communicate()
    end = time.monotonic() + 10
    while child.exists() and "Z" not in (child / "stat").read_text() and time.monotonic() < end:
        time.sleep(0.02)
    assert time.monotonic() < end


def test_a_sandbox_that_cannot_be_set_up_is_an_error(monkeypatch):
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    with pytest.raises(SandboxError, match="/nowhere/python"):
        run_python("pass")
    monkeypatch.setattr(sys, "executable", "/bin/true")
    with pytest.raises(SandboxError, match="could not confine itself"):
        run_python("pass")


def _decide(program, word, number, *arguments):
    """What the filter answers, by the rules of classic BPF."""
    data = struct.pack("=IIQ6Q", number, word, 0, *arguments, *[0] * (6 - len(arguments)))
    lines, at, value = list(struct.iter_unpack("HBBI", program)), 0, 0
    while True:
        code, if_true, if_false, operand = lines[at]
        at += 1
        if code == sandbox_child.RETURN:
            return operand
        if code == sandbox_child.LOAD:
            value = struct.unpack_from("=I", data, operand)[0]
        elif code == sandbox_child.MASK:
            value &= operand
        else:
            met = value == operand if code == sandbox_child.EQUAL else value >= operand
            at += if_true if met else if_false


ALLOW, DONE, REFUSE, UNKNOWN, KILL = 0x7FFF0000, 0x50000, 0x50000 | errno.EPERM, 0x50000 | errno.ENOSYS, 0x80000000


X86 = {
    **{"read": 0, "socket": 41, "connect": 42, "execve": 59, "fork": 57, "clone": 56, "kill": 62, "ptrace": 101},
    **{"openat": 257, "fchmod": 91, "mount": 165, "bpf": 321, "keyctl": 250, "truncate": 76, "setns": 308},
}
ARM = {
    **{"read": 63, "socket": 198, "connect": 203, "execve": 221, "clone": 220, "kill": 129, "ptrace": 117},
    **{"openat": 56, "fchmod": 52, "mount": 40, "bpf": 280, "keyctl": 219, "truncate": 45, "setns": 268},
}


@pytest.mark.parametrize(("machine", "calls"), [("x86_64", X86), ("aarch64", ARM)])
def test_the_filter_of_each_machine(machine, calls):
    word, program = sandbox_child.MACHINES[machine][0], sandbox_child.system_calls(machine, pid=77)
    answer = {name: _decide(program, word, number) for name, number in calls.items()}
    assert answer.pop("read") == answer.pop("openat") == ALLOW
    assert answer.pop("fchmod") == DONE
    assert set(answer.values()) == {REFUSE}
    assert _decide(program, word, calls["clone"], 0x3D0F00) == ALLOW
    assert _decide(program, word, calls["clone"], 0x3D0F00 | 1 << 28) == REFUSE
    assert [_decide(program, word, calls["kill"], pid) for pid in (77, 78, 0, 2**64 - 1)] == [ALLOW, *[REFUSE] * 3]
    assert [_decide(program, word, calls["openat"], 0, 0, how) for how in (0o1000, 0o1001)] == [REFUSE, ALLOW]
    assert [_decide(program, word, number) for number in (425, 435, 999)] == [UNKNOWN] * 3
    assert _decide(program, 0x40000003, 0) == KILL
    assert len(program) // 8 < 4096  # BPF_MAXINSNS
