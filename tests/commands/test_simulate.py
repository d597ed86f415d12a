"""`manage.py simulate NAME`: one JSON line, a login that works with what it says, and a control address."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from broker import catalog
from config import SystemClock
from tests.simulators import faces

ROOT = Path(__file__).parents[2]


@pytest.fixture(params=faces.spoken())
def line(request: pytest.FixtureRequest) -> Iterator[tuple[str, dict[str, Any]]]:
    command = [sys.executable, "-m", "commands", "simulate", request.param, "--seed", "3"]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield request.param, json.loads(process.stdout.readline())
        assert process.poll() is None
    finally:
        process.terminate()
        assert process.wait(10) == 0


def control(told: dict[str, Any], **words: Any) -> requests.Response:
    return requests.post(told["control"], json=words, timeout=5)


def test_the_line_is_enough_to_log_in(line: tuple[str, dict[str, Any]]) -> None:
    name, told = line
    assert {"rest", "stream", "credentials", "control"} <= set(told)
    tokens = catalog.load(name).log_in(told["credentials"], told, SystemClock())
    assert tokens.user_id and tokens.values
    assert len(told["credentials"]["access_token"]) > 8


def test_its_control_does_what_it_is_told(line: tuple[str, dict[str, Any]]) -> None:
    _, told = line
    for words in (
        {"action": "tick", "symbol": "INFY", "price": 1501.5},
        {"action": "tick", "symbol": "NSE:TCS", "price": 3100},
        {"action": "set_funds", "amount": 5000},
        {"action": "fail_next", "kind": "timeout", "match": "place"},
        {"action": "faults", "plan": [{"action": "429", "match": "orders", "probability": 0.5}], "seed": 4},
        {"action": "faults", "plan": []},
        {"action": "ws_close", "code": 1011},
        {"action": "expire_tokens"},
    ):
        answer = control(told, **words)
        assert answer.status_code == 200 and answer.json()["ok"], (words, answer.text)
    assert control(told, action="truth").json()["orders"] == []
    assert control(told, action="dance").status_code == 400
    assert control(told, action="tick", symbol="NOPE", price=1).status_code == 400
    assert control(told, action="fail_next", kind="earthquake").status_code == 400
