"""What a hostile script finds (nothing), and that nothing of a run outlives it."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from strategies import process, sandbox
from strategies.process import Adopted, Identity
from tests.strategies.kit import Bench

HOSTILE = Path(__file__).with_name("hostile")
linux = pytest.mark.skipif(sandbox.landlock_version() < 6, reason="the kernel has no Landlock with scopes")


@linux
def test_a_hostile_script_finds_nothing(bench: Bench, tmp_path: Path) -> None:
    data = tmp_path / "data"
    neighbour = data / "strategies" / "other" / "work"
    for folder in ("keys/bus", neighbour, "log"):
        (data / folder).mkdir(parents=True)
    for file in ("platform.db", ".env", "keys/bus/web", neighbour / "x"):
        (data / file).write_text("canary")
    child = bench.start(
        (HOSTILE / "prober.py").read_text(),
        T_DATA=str(data),
        T_PLATFORM=str(os.getpid()),
        T_NEIGHBOUR=str(neighbour / "x"),
    )
    text, end = bench.output(child, 60)
    assert [line for line in text.splitlines() if line.startswith("GOT")] == []
    assert "canary" not in text
    assert (data / "platform.db").stat().st_mode & 0o777 and data.stat().st_mode & 0o777
    assert "environment []" in text and "done" in text and end.code == 0


@linux
def test_the_run_folder_and_the_lock_cannot_be_written(bench: Bench) -> None:
    child = bench.start(
        "import os\n"
        "for number in range(3, 20):\n"
        "    try:\n        os.write(number, b'x'); print('WROTE', number)\n"
        "    except OSError: pass\n"
        "try: open('../run/lock', 'w'); print('OPENED')\n"
        "except OSError: print('denied')\n"
    )
    text, _ = bench.output(child)
    assert text == "denied\n"


def test_usual_python_works_inside(bench: Bench) -> None:
    child = bench.start(
        "import asyncio, concurrent.futures, ctypes, hashlib, json, sqlite3, ssl, subprocess\n"
        "from zoneinfo import ZoneInfo\n"
        "open('kept', 'w').write('x')\n"
        "assert ZoneInfo('Asia/Kolkata')\n"
        "with concurrent.futures.ThreadPoolExecutor(8) as pool: assert sum(pool.map(abs, range(9))) == 36\n"
        "assert subprocess.run(['/bin/echo', 'hi'], capture_output=True).stdout == b'hi\\n'\n"
        "asyncio.run(asyncio.sleep(0))\n"
        "ssl.create_default_context()\n"
        "import shutil, tempfile, socket\n"
        "shutil.copy2('kept', 'copied'); shutil.copytree('tmp', 'tree')\n"
        "with tempfile.NamedTemporaryFile() as file: file.write(b'x')\n"
        "a, b = socket.socketpair()\n"
        "a.sendall(b'x'); assert b.recv(1) == b'x'\n"
        "socket.socket().close()\n"
        "print('well')\n"
    )
    text, end = bench.output(child)
    assert (text, end.code) == ("well\n", 0)


def test_how_it_ended_is_told(bench: Bench) -> None:
    assert bench.output(bench.start("raise SystemExit(7)"))[1].words == "exited 7"
    assert bench.output(bench.start("import os; os.abort()"))[1].words == "ended by SIGABRT"
    text, end = bench.output(bench.start("1/0"))
    assert "ZeroDivisionError" in text and end.code == 1


def test_what_a_script_leaves_behind_goes_with_it(bench: Bench) -> None:
    child = bench.start(
        "import os, time\n"
        "for _ in range(5):\n"
        "    if os.fork() == 0:\n"
        "        if os.fork() == 0: time.sleep(60)\n"
        "        os._exit(0)\n"
        "print('left')\n"
    )
    text, end = bench.output(child)
    assert text == "left\n" and end.code == 0
    assert process.members(child.identity) == []


def test_a_script_that_will_not_end_is_ended(bench: Bench) -> None:
    child = bench.start(
        "import os, signal, time\n"
        "for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP): signal.signal(number, lambda *_: print('no'))\n"
        "os.fork()\nos.fork()\n"
        "print('up')\n"
        "while True: time.sleep(0.1)\n"
    )
    bench.wait_for(b"up")
    process.terminate(child.identity)
    bench.wait_for(b"no")
    assert child.poll() is None
    assert process.kill_session(child.identity)
    assert process.members(child.identity) == []
    assert bench.output(child)[1].signal == signal.SIGKILL


def test_a_bomb_of_processes_is_ended_whole(bench: Bench) -> None:
    child = bench.start(
        "import os\nfor _ in range(7): os.fork()\nprint('x', end='')\nimport time; time.sleep(60)"
    )
    bench.wait_for(b"x" * 128, 60)
    usage = process.census(frozenset({child.identity.pid}))[child.identity.pid]
    assert usage.processes == 128
    elsewhere = process._census_elsewhere(frozenset({child.identity.pid}))[child.identity.pid]
    assert elsewhere.processes == 128 and elsewhere.memory > usage.memory / 2 and elsewhere.cpu > 0
    assert process.kill_session(child.identity)
    assert process.members(child.identity) == []


def test_printing_waits_for_a_reader_and_never_fails(bench: Bench) -> None:
    child = bench.start("import sys\nfor n in range(20000): print('line', n)\nprint('end')")
    time.sleep(1.0)
    assert child.poll() is None
    text, end = bench.output(child, 30)
    assert text.count("line") == 20000 and text.endswith("end\n") and end.code == 0


def test_a_second_copy_cannot_live(bench: Bench) -> None:
    first = bench.start("import time\nprint('up')\ntime.sleep(60)")
    bench.wait_for(b"up")
    with pytest.raises(Exception, match="earlier run is still alive"):
        bench.start("print('second')")
    assert first.poll() is None


def test_a_late_launcher_of_an_old_generation_refuses(bench: Bench, tmp_path: Path) -> None:
    from strategies.files import Places

    places = Places(bench.home)
    places.make()
    original = Places.name_generation
    try:
        Places.name_generation = lambda self, generation: original(self, generation + 1)  # type: ignore[method-assign]
        text, end = bench.output(bench.start("print('ran')"))
    finally:
        Places.name_generation = original  # type: ignore[method-assign]
    assert "meanwhile" in text and "ran" not in text and end.code == 97


def test_a_killed_host_finds_its_strategy_again(bench: Bench) -> None:
    """Identity by number, start time and boot; a note is left for the host that never wrote them down."""
    child = bench.start("import time\nprint('up')\ntime.sleep(60)")
    bench.wait_for(b"up")
    identity = child.identity
    from strategies.files import Places

    noted = process.noted(Places(bench.home).pid_file(1), bench.token(1))
    assert noted == identity == process.carrying(bench.token(1))
    assert process.noted(Places(bench.home).pid_file(1), bench.token(2)) is None
    assert process.is_alive(identity) and process.carries(identity, bench.token(1))
    assert not process.carries(identity, bench.token(2))
    assert not process.is_alive(Identity(identity.pid, identity.started + 1, identity.boot))
    assert not process.is_alive(Identity(identity.pid, identity.started, "another boot"))
    adopted = Adopted(identity)
    assert adopted.poll() is None
    os.kill(identity.pid, signal.SIGSEGV)
    deadline = time.monotonic() + 5
    while (end := adopted.poll()) is None and time.monotonic() < deadline:
        time.sleep(0.02)
    assert end is not None and end.signal == signal.SIGSEGV


def test_an_identity_is_never_somebody_elses(bench: Bench) -> None:
    other = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        identity = process.identify(other.pid)
        assert identity is not None
        stale = Identity(other.pid, identity.started - 5, identity.boot)
        assert process.members(Identity(os.getpid(), 1, "another boot")) == []
        assert not process.is_alive(stale)
        assert process.kill_session(stale)
        assert other.poll() is None
    finally:
        other.kill()
        other.wait()
