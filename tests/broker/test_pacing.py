"""The pacer lets no window overflow, and exits go first."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from broker.pacing import Paced, Pacer
from broker.send_times import SharedTimes
from config import SystemClock

ROOT = Path(__file__).parents[2]


def test_a_window_is_never_overfull() -> None:
    pacer = Pacer({"orders": 20.0}, {}, SystemClock())
    sent: list[float] = []
    lock = threading.Lock()

    def work() -> None:
        for _ in range(6):
            pacer.wait("orders")
            with lock:
                sent.append(time.monotonic())

    threads = [threading.Thread(target=work) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    sent.sort()
    assert all(later - first > 0.95 for first, later in zip(sent, sent[20:], strict=False))


def test_exits_overtake_those_that_wait() -> None:
    pacer = Pacer({"orders": 2.0}, {}, SystemClock())
    pacer.wait("orders")
    pacer.wait("orders")
    order: list[str] = []

    def work(name: str, urgent: bool) -> None:
        pacer.wait("orders", urgent=urgent)
        order.append(name)

    entry = threading.Thread(target=work, args=("entry", False))
    entry.start()
    time.sleep(0.1)
    leaving = threading.Thread(target=work, args=("exit", True))
    leaving.start()
    entry.join()
    leaving.join()
    assert order == ["exit", "entry"]


def test_too_long_a_wait_is_refused_before_anything_is_sent() -> None:
    pacer = Pacer({"quotes": 1.0}, {}, SystemClock())
    pacer.wait("quotes")
    begun = time.monotonic()
    with pytest.raises(Paced) as refused:
        pacer.wait("quotes", limit=0.2)
    assert time.monotonic() - begun < 0.2
    assert 0 < refused.value.after <= 1.1


def test_a_minute_counts_beside_a_second() -> None:
    pacer = Pacer({"x": 100.0}, {"x": 3}, SystemClock())
    for _ in range(3):
        pacer.wait("x")
    with pytest.raises(Paced):
        pacer.wait("x", limit=0.5)


def test_classes_do_not_hold_each_other_up() -> None:
    pacer = Pacer({"quotes": 1.0, "default": 50.0}, {}, SystemClock())
    pacer.wait("quotes")
    begun = time.monotonic()
    pacer.wait("orders")
    assert time.monotonic() - begun < 0.1


_SENDER = """
import json, sys, time
from pathlib import Path
from broker.pacing import Pacer
from config import SystemClock
pacer = Pacer({"orders": 20.0}, {}, SystemClock(), Path(sys.argv[1]))
print("ready", flush=True)
sys.stdin.readline()
sent = []
for _ in range(15):
    pacer.wait("orders")
    sent.append(time.monotonic())
print(json.dumps(sent))
"""


def _sender(folder: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", _SENDER, str(folder)],
        cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def test_processes_share_one_accounts_limit(tmp_path: Path) -> None:
    """Web, worker and stream send for one account: together they may send what the broker allows, no more."""
    senders = [_sender(tmp_path) for _ in range(3)]
    said = [one.communicate(timeout=60)[0] for one in _started(senders)]
    sent = sorted(moment for text in said for moment in json.loads(text))
    assert len(sent) == 45
    assert all(later - first > 0.95 for first, later in zip(sent, sent[20:], strict=False))


def _started(senders: list[subprocess.Popen[str]]) -> list[subprocess.Popen[str]]:
    """All told to go at once, before any is waited for."""
    for one in senders:
        assert one.stdin is not None
        one.stdin.write("go\n")
        one.stdin.flush()
    return senders


def test_an_exit_overtakes_an_entry_of_another_process(tmp_path: Path) -> None:
    """Two pacers are two processes to each other: they share nothing but the files."""
    entries, exits = (Pacer({"orders": 2.0}, {}, SystemClock(), tmp_path) for _ in range(2))
    entries.wait("orders")
    exits.wait("orders")
    order: list[str] = []

    def work(pacer: Pacer, name: str) -> None:
        pacer.wait("orders", urgent=name == "exit")
        order.append(name)

    threads = [
        threading.Thread(target=work, args=(entries, "entry")),
        threading.Thread(target=work, args=(exits, "exit")),
    ]
    for thread in threads:
        thread.start()
        time.sleep(0.1)
    for thread in threads:
        thread.join()
    assert order == ["exit", "entry"]


def test_what_was_counted_before_a_restart_of_the_machine_holds_nobody_up(tmp_path: Path) -> None:
    """The monotonic clock begins anew at a boot, so old times lie in its future."""

    class Boots(SystemClock):
        uptime = 1e6

        def monotonic(self) -> float:
            return self.uptime

    clock = Boots()
    before = Pacer({"orders": 1.0}, {}, clock, tmp_path)
    before.wait("orders")
    clock.uptime = 5.0
    Pacer({"orders": 1.0}, {}, clock, tmp_path).wait("orders", limit=0.1)


def test_a_process_that_stands_still_does_not_hold_up_an_exit(tmp_path: Path) -> None:
    pacer = Pacer({"orders": 5.0}, {}, SystemClock(), tmp_path)
    pacer.wait("orders")
    standing = SharedTimes(tmp_path / "orders-5", 5)
    with standing.held():
        begun = time.monotonic()
        pacer.wait("orders", urgent=True)
        assert time.monotonic() - begun < 1
    pacer.close()
    pacer.wait("orders", urgent=True)


def test_a_folder_that_cannot_be_written_leaves_this_process_its_own_count(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("")
    pacer = Pacer({"orders": 1.0}, {}, SystemClock(), tmp_path / "file")
    assert "this process alone" in caplog.text
    pacer.wait("orders")
    with pytest.raises(Paced):
        pacer.wait("orders", limit=0.1)
