"""Whose pages may open a socket."""

from __future__ import annotations

import pytest

from websocket_proxy.origins import Origins

ORIGINS = Origins(
    ["https://algo.example.com/", "*", "http://127.0.0.1:5000"], ["algo.example.com", "feed.example.com"]
)


@pytest.mark.parametrize(
    ("origin", "host", "may"),
    [
        ("https://algo.example.com", "feed.example.com", True),
        ("https://ALGO.example.com/", "feed.example.com", True),
        ("http://algo.example.com", "x", False),
        ("https://evil.algo.example.com", "x", False),
        ("https://algo.example.com.evil.net", "x", False),
        ("http://192.168.1.5:8765", "192.168.1.5:8765", True),
        ("http://localhost:8765", "localhost:8765", True),
        ("https://feed.example.com", "feed.example.com", True),
        ("http://192.168.1.5:8765", "192.168.1.5:9999", False),
        ("http://rebound.evil.net:8765", "rebound.evil.net:8765", False),
        ("*", "x", False),
        ("null", "null", False),
        ("", "", False),
    ],
)
def test_known_origins_and_our_own_address_only(origin: str, host: str, may: bool) -> None:
    assert ORIGINS.may(origin, host) is may
