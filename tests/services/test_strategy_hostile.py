"""Scripts that mean harm, or do it by mistake, under a real keeper: confined, ended, explained."""

from __future__ import annotations

import signal
import sys
import time
from pathlib import Path

import pytest

from domain.strategies import Restart, RunLimits, StrategyState
from services import strategy_watch
from strategies import process, sandbox
from strategies.cgroup import Groups
from strategies.shares import Shares
from tests.services.strategy_house import House

linux = pytest.mark.skipif(sandbox.landlock_version() < 6, reason="the kernel has no Landlock with scopes")
OVER = (StrategyState.CRASHED, StrategyState.FINISHED, StrategyState.FAILED)


def lived(house: House, code: str, **limits: int) -> tuple[StrategyState, str, str]:
    """Run a script to its end: (state, reason, log). Nothing of it is left."""
    if not house.keepers:
        house.keeper()
    strategy_id = house.add(code, limits=RunLimits(**limits), restart=Restart.NEVER)
    house.host.start(house.caller, strategy_id)
    found = house.until(strategy_id, *OVER, seconds=60)
    (run,) = house.host.runs(house.caller, strategy_id)
    identity = process.Identity(run.pid or 0, run.started or 0, run.boot)
    assert process.members(identity) == [] and house.live() == []
    return found.state, found.reason, house.log(strategy_id)


def test_one_that_takes_all_memory_at_once(house: House) -> None:
    state, reason, log = lived(house, "x = bytearray(3 << 30)\nprint('got it')", memory_mb=64)
    assert state is StrategyState.CRASHED and "got it" not in log
    assert "MemoryError" in log or "of memory" in reason


def test_one_that_opens_files_without_end(house: House) -> None:
    state, reason, log = lived(house, "held = []\nwhile True: held.append(open('/dev/null'))", files=64)
    assert (state, reason) == (StrategyState.CRASHED, "exited 1")
    assert "Too many open files" in log


def test_one_that_forks_without_end(house: House) -> None:
    """The one at the top forks a hundred a second; the whole session goes."""
    code = "import os, time\nwhile os.fork(): time.sleep(0.01)\ntime.sleep(60)"
    state, reason, _ = lived(house, code, processes=16)
    assert state is StrategyState.CRASHED and "processes of 16" in reason


@linux
def test_one_that_would_become_a_daemon(house: House) -> None:
    code = (
        "import os, sys, time\n"
        "if os.fork(): sys.exit(0)\n"
        "try: os.setsid()\n"
        "except OSError as error: print('kept:', error, flush=True)\n"
        "if os.fork(): os._exit(0)\n"
        "open('daemon', 'w').write(str(os.getpid()))\n"
        "time.sleep(60)\n"
    )
    state, _, log = lived(house, code)
    assert state is StrategyState.FINISHED
    assert "kept:" in log or "exited 0" in log


def test_one_that_will_not_be_told_and_has_children_like_it(house: House) -> None:
    code = (
        "import os, signal, time\n"
        "for number in (1, 2, 15): signal.signal(number, lambda *_: print('no', flush=True))\n"
        "os.fork()\nos.fork()\nprint('up', flush=True)\n"
        "while True: time.sleep(0.1)\n"
    )
    house.keeper()
    strategy_id = house.add(code, limits=RunLimits(grace=1))
    house.host.start(house.caller, strategy_id)
    house.until_logged(strategy_id, "up")
    (run,) = house.live()
    house.host.stop(house.caller, strategy_id)
    house.until(strategy_id, StrategyState.STOPPED)
    log = house.log(strategy_id)
    assert "did not end within 1 s: killed" in log and "(ended by SIGKILL)" in log
    assert process.members(process.Identity(run.pid, run.started, run.boot)) == []


@linux
def test_one_that_rewrites_itself(house: House) -> None:
    code = (
        "import os, shutil\n"
        "for act in (lambda: open(__file__, 'w'), lambda: os.remove(__file__), lambda: os.chmod(__file__, 0o777),\n"
        "            lambda: os.rename(__file__, 'mine.py'), lambda: shutil.copy('/proc/self/exe', __file__)):\n"
        "    try: act(); print('DID IT')\n"
        "    except OSError as error: print('denied', error.errno)\n"
    )
    state, _, log = lived(house, code)
    assert state is StrategyState.FINISHED
    assert log.count("denied") >= 4 and log.count("DID IT") <= 1, log
    (strategy,) = house.host.listed(house.caller)
    assert house.host.files(house.caller, strategy.id)["s.py"].decode() == code


def test_one_that_prints_binary_and_terminal_codes(house: House) -> None:
    code = (
        "import os, sys\nsys.stdout.buffer.write(bytes(range(256)) * 20 + b'\\x1b]0;owned\\x07\\n')\n"
        "sys.stdout.buffer.write(os.urandom(100_000))\nprint('\\nend')"
    )
    state, _, log = lived(house, code)
    assert state is StrategyState.FINISHED and "end" in log
    assert not any(ord(letter) < 32 and letter not in "\n\t" for letter in log)


def test_one_line_without_an_end(house: House) -> None:
    state, _, log = lived(house, "import sys\nfor _ in range(300): sys.stdout.write('x' * 10_000)")
    assert state is StrategyState.FINISHED
    assert max(len(line) for line in log.splitlines()) < 5000


def test_one_that_fills_the_disk(house: House) -> None:
    """A file larger than allowed cannot be written; many together end it."""
    state, _, log = lived(house, "open('big', 'wb').write(b'x' * (64 << 20))", disk_mb=8)
    assert state is StrategyState.CRASHED and ("File too large" in log or "SIGXFSZ" in log)
    code = (
        "import time\nfor n in range(40):\n    open(f'f{n}', 'wb').write(b'x' * (1 << 20))\nprint('written')\n"
        "time.sleep(60)"
    )
    state, reason, _ = lived(house, code, disk_mb=8)
    assert state is StrategyState.CRASHED and "MB of 8 MB" in reason


def test_one_that_hangs_is_seen_by_its_silence_and_a_busy_one_by_its_file(house: House) -> None:
    beats = (
        "import os, pathlib, time\nfor _ in range(50):\n"
        "    pathlib.Path(os.environ['OPENALGO_HEARTBEAT']).touch(); time.sleep(0.1)\n"
        "print('well')\n"
    )
    state, _, log = lived(house, beats, heartbeat=2)
    assert state is StrategyState.FINISHED and "well" in log


def test_one_that_never_rests_is_warned_of_and_lives(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """No limit on CPU time: a busy one is told of, and the reason for its end is never a silent kill."""
    for name, value in (("_KEEP_EVERY", 1.0), ("_BUSY_LOOKS", 2), ("_BUSY", 2.0)):
        monkeypatch.setattr(strategy_watch, name, value)
    house.keeper()
    strategy_id = house.add("import time\nprint('up')\nwhile True: pass")
    house.host.start(house.caller, strategy_id)
    deadline = time.monotonic() + 60
    while not any("whole core" in note.words for note in house.host.notes(house.caller, strategy_id)):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    assert house.get(strategy_id).state is StrategyState.RUNNING


@pytest.mark.skipif(Shares.here() is None or Groups.found() is not None, reason="held otherwise here")
def test_one_that_wants_more_cpu_than_its_share_is_held_to_it_and_told(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its stop is not slowed by that, and a keeper that comes after one that was killed lets it go on."""
    for name, value in (("_KEEP_EVERY", 1.0), ("_BUSY_LOOKS", 2), ("_BUSY", 1.0)):
        monkeypatch.setattr(strategy_watch, name, value)
    house.keeper()
    strategy_id = house.add("print('up')\nwhile True: pass", limits=RunLimits(cpu=20, grace=60))
    house.host.start(house.caller, strategy_id)
    deadline = time.monotonic() + 60
    while not any(
        "its share, 20 % of a core" in note.words for note in house.host.notes(house.caller, strategy_id)
    ):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    house.abandon()
    (run,) = house.live()
    identity = process.Identity(run.pid, run.started, run.boot)
    process.signal_group(identity, [run.pid], signal.SIGSTOP)
    house.keeper()
    house.until_logged(strategy_id, "Taken over")
    assert Path(f"/proc/{run.pid}/stat").read_text().rsplit(") ", 1)[1][0] != "T"
    house.host.stop(house.caller, strategy_id)
    house.until(strategy_id, StrategyState.STOPPED, seconds=10)


@pytest.mark.skipif(sys.platform != "linux", reason="priorities are told by /proc")
def test_everyone_is_behind_the_platform_in_the_queue_for_cpu_and_first_to_go(house: House) -> None:
    code = "import os\nprint('nice', os.nice(0), open('/proc/self/oom_score_adj').read().strip())"
    _, _, log = lived(house, code)
    nice, score = log.split("nice ")[1].split()[:2]
    assert int(nice) >= sandbox.NICE and int(score) >= 500
