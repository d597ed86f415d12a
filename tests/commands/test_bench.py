"""A bench that is stopped leaves nothing behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.journey
@pytest.mark.timeout(180)
@pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
def test_a_bench_that_is_asked_to_stop_ends_its_children(tmp_path: Path) -> None:
    command = [sys.executable, "-P", "-m", "commands", "bench", "reads", "--scratch", str(tmp_path)]
    bench = subprocess.Popen(
        command,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    started: set[int] = set()
    try:
        end = time.monotonic() + 120
        while len(started) < 4:
            assert bench.poll() is None and time.monotonic() < end
            started = {child.pid for child in psutil.Process(bench.pid).children(recursive=True)}
            time.sleep(0.1)
    finally:
        bench.send_signal(signal.SIGTERM)
    assert bench.wait(60) == 143
    end = time.monotonic() + 10
    while left := [pid for pid in started if psutil.pid_exists(pid)]:
        assert time.monotonic() < end, left
        time.sleep(0.1)
    assert list(tmp_path.iterdir()) == [], "and its scratch directory is gone"
