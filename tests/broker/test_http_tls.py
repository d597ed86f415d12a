"""TLS: a certificate nobody vouches for sends nothing; what breaks later may have left, whatever it is called."""

from __future__ import annotations

import ipaddress
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from broker import http
from broker.http import Call, HttpClient, NoAnswer, NotSent
from broker.pacing import Pacer
from config import SystemClock

PLAIN = b"HTTP/1.1 502 Bad Gateway\r\n\r\n"


class Secured:
    """Takes one request over TLS and then does as told with the bare socket."""

    def __init__(self, certificate: Path, after: Callable[[socket.socket], None]) -> None:
        self.seen = b""
        self._after = after
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(certificate)
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"https://127.0.0.1:{self._listening.getsockname()[1]}/orders"
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        plain, _ = self._listening.accept()
        try:
            secured = self._context.wrap_socket(plain, server_side=True)
            self.seen = secured.recv(65536)
        except OSError:
            return
        with socket.socket(fileno=secured.detach()) as bare:
            self._after(bare)

    def stop(self) -> None:
        self._listening.close()
        self._thread.join(5)


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A key with a certificate of its own for 127.0.0.1."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "broker")])
    now, address = datetime.now(UTC), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    made = x509.CertificateBuilder(name, name, key.public_key(), 1, now - timedelta(1), now + timedelta(1))
    made = made.add_extension(x509.SubjectAlternativeName([address]), critical=False)
    made = made.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    path, pem = tmp_path / "broker.pem", serialization.Encoding.PEM
    secret = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path.write_bytes(made.sign(key, hashes.SHA256()).public_bytes(pem) + secret)
    return path


@pytest.fixture
def client(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HttpClient]:
    context = ssl.create_default_context(cafile=str(certificate))
    monkeypatch.setattr(http, "trusted", lambda: context)
    made = HttpClient(Pacer({}, {}, SystemClock()), SystemClock())
    yield made
    made.close()


def order(url: str) -> Call:
    return Call(op="place", method="POST", url=url, body=b"quantity=1")


@pytest.mark.parametrize("after", [lambda bare: bare.sendall(PLAIN), lambda bare: None])
def test_an_order_after_which_tls_breaks_may_have_left(
    client: HttpClient, certificate: Path, after: Callable[[socket.socket], None]
) -> None:
    server = Secured(certificate, after)
    with pytest.raises(NoAnswer):
        client.send(order(server.url))
    server.stop()
    assert b"quantity=1" in server.seen or b"POST /orders" in server.seen


def test_a_certificate_that_nobody_vouches_for_is_sent_nothing(certificate: Path) -> None:
    server = Secured(certificate, lambda bare: None)
    client = HttpClient(Pacer({}, {}, SystemClock()), SystemClock())
    with pytest.raises(NotSent):
        client.send(order(server.url))
    client.close()
    server.stop()
    assert server.seen == b""


def test_a_header_that_cannot_be_written_is_sent_nothing() -> None:
    client = HttpClient(Pacer({}, {}, SystemClock()), SystemClock())
    with socket.create_server(("127.0.0.1", 0)) as listening:
        url = f"http://127.0.0.1:{listening.getsockname()[1]}/"
        with pytest.raises(NotSent):
            client.send(Call(op="place", method="POST", url=url, headers={"Authorization": "a\nb"}))
    client.close()
