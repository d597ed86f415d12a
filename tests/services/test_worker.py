"""Which holders of the worker's lease are known to be gone."""

from __future__ import annotations

import os
import socket
import subprocess
import sys

import pytest

from services.worker import is_gone

HERE = socket.gethostname()


def test_a_process_that_ended_here_is_gone() -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    assert is_gone(f"{HERE}:{ended.pid}:abcd")


@pytest.mark.parametrize(
    "holder",
    [f"{HERE}:{os.getpid()}:abcd", "elsewhere:999999:abcd", "", "x:y:z"],
    ids=["this process", "another host", "none", "no pid"],
)
def test_one_that_lives_or_may_live_is_not(holder: str) -> None:
    assert not is_gone(holder)
