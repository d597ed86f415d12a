"""One instance a data directory."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from commands import locks

ROOT = Path(__file__).resolve().parents[2]


def test_the_holder_is_named_and_the_lock_ends_with_it(tmp_path: Path) -> None:
    path = tmp_path / "run" / "web.lock"
    code = "import sys; from pathlib import Path; from commands import locks\n"
    code += "f = locks.hold(Path(sys.argv[1])); print('held', flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", code, str(path)], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None and other.stdout.readline().strip() == b"held"
        with pytest.raises(locks.AlreadyRunning) as caught:
            locks.hold(path)
        assert caught.value.pid == other.pid
        other.kill()
    with locks.hold(path):
        assert locks.holder_of(path) == os.getpid()
