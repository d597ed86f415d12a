"""The site that install.sh puts in place, in a real nginx, in front of a running platform."""

from __future__ import annotations

import contextlib
import json
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests
from websockets.sync.client import connect

from bench.install import ROOT, Install
from tests.installs import copied

NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")
SITE = ROOT / "install" / "nginx" / "openalgo.conf"
MAIN = """
daemon off; pid {home}/nginx.pid; error_log stderr info;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    {temporary}
    {site}
}}
"""
_KEPT = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
pytestmark = [
    pytest.mark.journey,
    pytest.mark.timeout(180),
    pytest.mark.xdist_group("slow bodies"),  # they mostly wait
    pytest.mark.skipif(NGINX is None, reason="there is no nginx here"),
]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def written(home: Path, port: int, install: Install) -> Path:
    """A whole configuration around the site: its own ports, DOMAIN filled in as install.sh does."""
    site = SITE.read_text(encoding="utf-8")
    for shipped, here in (
        ("listen 80;", f"listen 127.0.0.1:{port};"),
        ("listen [::]:80;", ""),
        ("DOMAIN", "localhost"),
        ("127.0.0.1:5000", urlsplit(install.http).netloc),
        ("127.0.0.1:8765", urlsplit(install.feed).netloc),
        ("client_body_timeout 15s;", "client_body_timeout 3s;"),
    ):
        assert shipped in site
        site = site.replace(shipped, here)
    temporary = " ".join(f"{name}_temp_path {home}/{name};" for name in _KEPT)
    path = home / "nginx.conf"
    path.write_text(MAIN.format(home=home, temporary=temporary, site=site))
    return path


@pytest.fixture(scope="module")
def front(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Install, str]]:
    """The platform, and the address of the nginx in front of it."""
    home, port = tmp_path_factory.mktemp("nginx"), free_port()
    settings = {
        "TRUSTED_PROXIES": "127.0.0.1/32",
        "HOST_SERVER": f"http://localhost:{port}",
        "WEBSOCKET_URL": f"ws://localhost:{port}/ws",
    }
    with Install(copied(home / "data"), **settings) as install:
        assert NGINX is not None
        config = written(home, port, install)
        tried = subprocess.run([NGINX, "-t", "-c", str(config)], capture_output=True, text=True, check=False)
        assert tried.returncode == 0, tried.stderr
        process = subprocess.Popen([NGINX, "-c", str(config)], stderr=subprocess.DEVNULL)
        try:
            end = time.monotonic() + 20
            while socket.socket().connect_ex(("127.0.0.1", port)):
                assert process.poll() is None and time.monotonic() < end
                time.sleep(0.05)
            yield install, f"127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait(20)


def test_pages_and_orders_pass_through(front: tuple[Install, str]) -> None:
    install, address = front
    page = requests.get(f"http://{address}/login", headers={"Host": "localhost"}, timeout=20)
    assert page.status_code == 200 and "OpenAlgo" in page.text
    order = {
        "apikey": install.key, "strategy": "nginx", "symbol": "INFY", "exchange": "NSE", "action": "BUY",
        "product": "MIS", "pricetype": "MARKET", "quantity": 1,
    }  # fmt: skip
    answer = requests.post(f"http://{address}/api/v1/placeorder", json=order, timeout=20)
    assert answer.json()["status"] == "success"
    large = requests.post(f"http://{address}/api/v1/placeorder", data=b"x" * (3 << 20), timeout=20)
    assert large.status_code == 413


def test_the_feed_is_reached_at_ws(front: tuple[Install, str]) -> None:
    install, address = front
    with connect(f"ws://{address}/ws") as socket_:
        socket_.send(json.dumps({"action": "authenticate", "api_key": install.key}))
        assert json.loads(socket_.recv(10))["status"] == "success"
        symbols = [{"symbol": "INFY", "exchange": "NSE"}]
        socket_.send(json.dumps({"action": "subscribe", "symbols": symbols, "mode": 1}))
        heard = [json.loads(socket_.recv(20)) for _ in range(2)]
    assert {frame.get("type") for frame in heard} >= {"market_data"}


def test_bodies_that_trickle_hold_up_nobody(front: tuple[Install, str]) -> None:
    """More of them than the web has threads: the proxy gathers each, and ends those that stand still."""
    install, address = front
    host, _, port = address.partition(":")
    head = f"POST /api/v1/ping HTTP/1.1\r\nHost: {host}\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
    whole = json.dumps({"apikey": install.key}).encode()
    with contextlib.ExitStack() as held:
        crowd = [held.enter_context(socket.create_connection((host, int(port)))) for _ in range(100)]
        for one in crowd:
            one.settimeout(40)
            one.sendall(head + b"1\r\n{\r\n")
        asked = requests.post(f"http://{address}/api/v1/ping", json={"apikey": install.key}, timeout=10)
        assert asked.status_code == 200
        patient, *still = crowd
        for byte in whole[1:]:
            patient.sendall(b"1\r\n%c\r\n" % byte)
        patient.sendall(b"0\r\n\r\n")
        assert b" 200 OK" in patient.recv(4096)
        began = time.monotonic()
        assert not any(one.recv(4096).startswith(b"HTTP/1.1 2") for one in still)
        assert time.monotonic() - began < 15


def test_metrics_stay_inside(front: tuple[Install, str]) -> None:
    install, address = front
    assert requests.get(f"http://{address}/metrics", timeout=20).status_code == 403
    told = requests.get(f"{install.http}/metrics", timeout=20)
    assert told.status_code == 200 and "openalgo_stream_up 1.0" in told.text
    outside = requests.get(f"{install.http}/metrics", headers={"X-Forwarded-For": "203.0.113.9"}, timeout=20)
    assert outside.status_code == 404
