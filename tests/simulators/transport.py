"""The simulators' own HTTP/1.1: small, loopback only, and able to answer wrongly on purpose."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import cache
from urllib.parse import parse_qsl, unquote, urlsplit

from tests.simulators.faults import Fault

HTML = b"<html><body><h1>Bad gateway</h1></body></html>"
REASONS = {
    200: "OK",
    302: "Found",
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
}


@dataclass(slots=True)
class Request:
    """One request as it came. `op` is set by the face when it knows what was meant."""

    method: str
    path: str
    query: list[tuple[str, str]]
    headers: dict[str, str]
    body: bytes
    op: str = ""

    def form(self) -> dict[str, str]:
        return dict(parse_qsl(self.body.decode(), keep_blank_values=True))

    def argument(self, name: str) -> str:
        return next((value for key, value in self.query if key == name), "")


@dataclass(slots=True)
class Answer:
    status: int = 200
    body: bytes = b""
    content_type: str = "application/json"
    headers: dict[str, str] = field(default_factory=dict)

    @classmethod
    def json(cls, value: object, status: int = 200) -> Answer:
        return cls(status, json.dumps(value).encode())

    @classmethod
    def page(cls, html: str) -> Answer:
        return cls(200, html.encode(), "text/html; charset=utf-8")

    @classmethod
    def redirect(cls, location: str) -> Answer:
        return cls(302, b"", "text/plain", {"Location": location})


Handle = Callable[[Request], Awaitable[Answer]]
Pick = Callable[[Request], Fault | None]


class HttpServer:
    """Keep-alive HTTP over asyncio; `pick` says what goes wrong with a request."""

    def __init__(self, handle: Handle, pick: Pick) -> None:
        self._handle = handle
        self._pick = pick
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()

    async def start(self, port: int = 0) -> int:
        """Listen on loopback; returns the port."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", port, limit=1 << 20)
        return int(self._server.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
        for writer in list(self._writers):
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            while (request := await _read(reader)) is not None:
                if not await self._respond(request, writer):
                    break
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, TimeoutError):
            pass  # a client that left, or one that a fault sent away
        except asyncio.CancelledError:
            pass  # the simulator stops
        finally:
            self._writers.discard(writer)
            writer.close()

    async def _respond(self, request: Request, writer: asyncio.StreamWriter) -> bool:
        """Answer; False when the connection is over."""
        fault = self._pick(request)
        if fault is None:
            return await _send(writer, await self._handle(request))
        if fault.action == "delay":
            await asyncio.sleep(fault.seconds)
            return await _send(writer, await self._handle(request))
        answer = await self._handle(request) if fault.phase == "after" else Answer()
        return await _misbehave(writer, answer, fault)


async def _read(reader: asyncio.StreamReader) -> Request | None:
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError as error:
        if error.partial:
            raise
        return None
    start, *lines = head.decode("latin-1").split("\r\n")
    method, target, _ = start.split(" ", 2)
    headers = {}
    for line in lines:
        name, _, value = line.partition(":")
        headers[name.strip().lower()] = value.strip()
    body = await reader.readexactly(int(headers.get("content-length") or 0))
    parts = urlsplit(target)
    return Request(method, unquote(parts.path), parse_qsl(parts.query, keep_blank_values=True), headers, body)


async def _send(writer: asyncio.StreamWriter, answer: Answer, *, cut: bool = False) -> bool:
    reason = REASONS.get(answer.status, "Status")
    lines = [f"HTTP/1.1 {answer.status} {reason}", f"Content-Type: {answer.content_type}"]
    lines += [f"{name}: {value}" for name, value in answer.headers.items()]
    lines += [f"Content-Length: {len(answer.body)}", "", ""]
    body = answer.body[: len(answer.body) // 2] if cut else answer.body
    writer.write("\r\n".join(lines).encode() + body)
    await writer.drain()
    return not cut


async def _misbehave(writer: asyncio.StreamWriter, answer: Answer, fault: Fault) -> bool:
    action = fault.action
    if action == "drop":
        return False
    if action == "hang":
        await asyncio.sleep(3600)
        return False
    if action == "cut":
        return await _send(writer, answer, cut=True)
    if action == "trickle":
        return await _trickle(writer, answer, fault.rate)
    return await _send(writer, _spoiled(answer, fault))


def _spoiled(answer: Answer, fault: Fault) -> Answer:
    action = fault.action
    if action == "status":
        return Answer(fault.status, HTML, "text/html")
    if action == "html":
        return Answer(200, HTML, "text/html")
    if action == "empty":
        return Answer(200, b"", answer.content_type)
    if action == "truncate":
        return Answer(answer.status, answer.body[: len(answer.body) // 2], answer.content_type)
    if action == "wrong_type":
        return Answer(answer.status, json.dumps(_twisted(json.loads(answer.body))).encode())
    if action == "redirect":
        return Answer(302, b"", "text/html", {"Location": fault.location})
    if action == "bomb":
        return Answer(200, _bomb(), answer.content_type, {"Content-Encoding": "gzip"})
    if action == "error_status":
        return Answer(fault.status, answer.body, answer.content_type)
    raise ValueError(action)


async def _trickle(writer: asyncio.StreamWriter, answer: Answer, rate: float) -> bool:
    head = f"HTTP/1.1 {answer.status} Slow\r\nContent-Type: {answer.content_type}\r\n"
    writer.write(f"{head}Content-Length: {len(answer.body)}\r\n\r\n".encode())
    for at in range(0, len(answer.body), 10):
        writer.write(answer.body[at : at + 10])
        await writer.drain()
        await asyncio.sleep(10 / rate)
    return True


def _twisted(value: object) -> object:
    """The same shape with every leaf of another type."""
    if isinstance(value, dict):
        return {key: _twisted(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_twisted(item) for item in value]
    return {"unexpected": True} if isinstance(value, str) else "many"


@cache
def _bomb() -> bytes:
    return (
        gzip.compress(bytes(1 << 20)) * 1024
    )  # members of one stream: made at once, and unfolded as one body
