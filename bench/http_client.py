"""A closed-loop HTTP driver: each client sends its next request when the last was answered.

`python -m bench.http_client` reads one Load as JSON on stdin and writes one Result. It runs in a process of its own,
speaks only HTTP and knows nothing of the product, so it can be pointed at any server.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import subprocess
import sys
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from bench import percentile

ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What to send: `bodies` in turn to `path`, from `clients` connections that stay open."""

    host: str
    port: int
    path: str
    bodies: list[dict[str, Any]]
    clients: int = 1
    seconds: float = 4.0
    warm_up: float = 0.5


@dataclass(slots=True, kw_only=True)
class Result:
    """What came back. latencies in ms, only of answers with status 200 after the warm-up; errors by their words."""

    latencies: list[float] = field(default_factory=list)
    errors: dict[str, int] = field(default_factory=dict)
    elapsed: float = 0.0
    bytes_read: int = 0

    @property
    def rate(self) -> float:
        return len(self.latencies) / self.elapsed if self.elapsed else 0.0

    def at(self, share: float) -> float:
        return percentile(self.latencies, share)


def drive(load: Load) -> Result:
    """Run a load in its own process. Raises RuntimeError when nothing was answered well."""
    ran = subprocess.run(
        [sys.executable, "-m", "bench.http_client"],
        input=json.dumps(asdict(load)),
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=True,
    )
    result = Result(**json.loads(ran.stdout))
    if not result.latencies:
        raise RuntimeError(f"{load.path}: no good answer: {result.errors}")
    return result


async def _run(load: Load) -> Result:
    result = Result()
    bodies = itertools.cycle([_request(load, body) for body in load.bodies])
    begins = time.perf_counter() + load.warm_up
    ends = begins + load.seconds
    await asyncio.gather(*(_client(load, bodies, begins, ends, result) for _ in range(load.clients)))
    result.elapsed = time.perf_counter() - begins
    return result


def _request(load: Load, body: dict[str, Any]) -> bytes:
    content = json.dumps(body).encode()
    head = f"POST {load.path} HTTP/1.1\r\nHost: {load.host}:{load.port}\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(content)}\r\n\r\n".encode() + content


async def _client(
    load: Load, bodies: itertools.cycle[bytes], begins: float, ends: float, result: Result
) -> None:
    reader, writer = await asyncio.open_connection(load.host, load.port, limit=2**24)
    try:
        while (sent := time.perf_counter()) < ends:
            writer.write(next(bodies))
            status, content = await _answer(reader)
            answered = time.perf_counter()
            if sent < begins:
                continue
            result.bytes_read += len(content)
            if status == 200:
                result.latencies.append((answered - sent) * 1e3)
            else:
                words = f"{status} {content[:120].decode(errors='replace')}"
                result.errors[words] = result.errors.get(words, 0) + 1
    finally:
        writer.close()


async def _answer(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    status = int(head[9:12])
    at = head.find(b"content-length:")
    if at >= 0:
        return status, await reader.readexactly(int(head[at + 15 : head.index(b"\r\n", at)]))
    content = bytearray()
    while size := int((await reader.readline()).split(b";")[0], 16):
        content += await reader.readexactly(size)
        await reader.readexactly(2)
    await reader.readexactly(2)
    return status, bytes(content)


def main() -> None:
    load = Load(**json.load(sys.stdin))
    try:
        import uvloop

        result = uvloop.run(_run(load))
    except ImportError:
        result = asyncio.run(_run(load))
    json.dump(asdict(result), sys.stdout)


if __name__ == "__main__":
    main()
