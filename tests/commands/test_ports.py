"""A taken port is named, with its owner and a way out."""

from __future__ import annotations

import os
import socket

import pytest

from commands import ports
from commands.probe import Answer


def test_a_taken_port_is_named_with_its_owner() -> None:
    with ports.listen("127.0.0.1", 0, "FLASK_PORT") as held:
        number = held.getsockname()[1]
        with pytest.raises(ports.PortTaken) as caught:
            ports.listen("127.0.0.1", number, "FLASK_PORT", patience=0.0)
    words = str(caught.value)
    assert str(number) in words and "FLASK_PORT" in words and str(os.getpid()) in words


def test_an_address_of_another_machine_is_said() -> None:
    with pytest.raises(ports.PortTaken, match=r"WEBSOCKET_PORT: cannot listen on 203\.0\.113\.7"):
        ports.listen("203.0.113.7", 0, "WEBSOCKET_PORT")


def test_zero_finds_a_free_port() -> None:
    number = ports.check("127.0.0.1", 0, "FLASK_PORT")
    assert number > 0
    assert not ports.is_open("127.0.0.1", number)


def test_the_probe_waits_for_words_not_for_a_connection() -> None:
    with ports.listen("127.0.0.1", 0, "FLASK_PORT") as listening:
        listening.settimeout(5)
        answer = Answer("127.0.0.1", listening.getsockname()[1])
        assert not answer.arrived()
        dropped, _ = listening.accept()
        dropped.close()
        served = _next(listening, answer)
        served.sendall(b"HTTP/1.1 302 FOUND\r\n\r\n")
        served.close()
        assert _eventually(answer)


def _next(listening: socket.socket, answer: Answer) -> socket.socket:
    """The connection of the question asked again after the first went unanswered."""
    listening.settimeout(0.05)
    for _ in range(100):
        assert not answer.arrived()
        try:
            return listening.accept()[0]
        except TimeoutError:
            continue
    raise AssertionError("not asked again")


def _eventually(answer: Answer) -> bool:
    return any(answer.arrived() for _ in range(100_000))
