"""Shares of CPU without control groups: over real processes that want all of it."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from strategies import process, sandbox, shares
from strategies.process import Child
from strategies.shares import Shares
from tests.strategies.kit import Bench

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="runs are held so on Linux only")
SPIN = "print('up')\nwhile True: pass"
FAMILY = """import os
print('up')
while True:
    if os.fork() == 0:
        for _ in range(10**5): pass
        os._exit(0)
    os.wait()
"""


@pytest.fixture
def held() -> Iterator[Shares]:
    made = Shares.here()
    assert made is not None
    yield made
    made.stop()


def state(child: Child) -> str:
    return Path(f"/proc/{child.identity.pid}/stat").read_text().rsplit(") ", 1)[1][0]


def took(child: Child) -> float:
    return process.census(frozenset({child.identity.pid}))[child.identity.pid].cpu


def over(child: Child, held: Shares, share: float, seconds: float) -> float:
    """What a run took of a core while it was looked at every half second."""
    begun, before = time.monotonic(), took(child)
    last, at = before, begun
    while time.monotonic() - begun < seconds:
        time.sleep(0.5)
        now, used = time.monotonic(), took(child)
        held.look("s", child.identity, share, (used - last) / (now - at))
        last, at = used, now
    return (took(child) - before) / (time.monotonic() - begun)


@pytest.mark.parametrize("script", [SPIN, FAMILY])
def test_one_that_wants_a_core_gets_its_share(bench: Bench, held: Shares, script: str) -> None:
    """Also one whose children take it, each for a moment. On a busy machine its pauses begin late."""
    child = bench.start(script)
    bench.wait_for(b"up")
    over(child, held, 0.2, 1.0)
    assert 0 < over(child, held, 0.2, 4.0) < 0.6


def test_one_that_is_let_go_or_told_to_end_is_not_left_standing(bench: Bench, held: Shares) -> None:
    child = bench.start("import signal, sys\nsignal.signal(15, lambda *_: sys.exit(3))\n" + SPIN)
    bench.wait_for(b"up")
    over(child, held, 0.05, 1.5)
    held.let_go("s")
    assert state(child) != "T"
    over(child, held, 0.05, 1.5)
    held.stop()
    assert state(child) != "T"
    process.signal_group(child.identity, [child.identity.pid], 19)
    process.terminate(child.identity)
    assert bench.output(child)[1].code == 3


def test_a_quiet_one_is_not_measured(bench: Bench, held: Shares) -> None:
    child = bench.start("import time\nprint('up')\ntime.sleep(60)")
    bench.wait_for(b"up")
    held.look("s", child.identity, 1.0, 0.2)
    assert held._thread is None


def test_a_run_weighs_less_than_the_platform(bench: Bench, held: Shares) -> None:
    """Each session is a scheduling group of its own: niceness alone says nothing to another session."""
    child = bench.start("import time\nprint('up')\ntime.sleep(60)")
    bench.wait_for(b"up")
    group = Path(f"/proc/{child.identity.pid}/autogroup")
    if not group.exists():
        pytest.skip("this kernel makes no group of a session")
    held.look("s", child.identity, 1.0, 0.0)
    assert group.read_text().split() == [group.read_text().split()[0], "nice", str(sandbox.NICE)]


def test_a_kernel_that_is_busy_is_asked_again(
    bench: Bench, held: Shares, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    monkeypatch.setattr(shares, "lower", lambda identity: asked.append(identity.pid) or len(asked) > 1)
    child = bench.start("import time\ntime.sleep(60)")
    for _ in range(4):
        held.look("s", child.identity, 1.0, 0.0)
    assert asked == [child.identity.pid] * 2
