"""Runs scripts as the host does, without a host: a folder, a pipe, and the launcher."""

from __future__ import annotations

import os
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from strategies import process
from strategies.files import Places
from strategies.process import Child, Exit, Launch


@dataclass
class Bench:
    """One strategy's home. `started` ends with the test."""

    home: Path
    limits: dict[str, int] = field(default_factory=dict)
    started: list[Child] = field(default_factory=list)
    generation: int = 0
    group: Path | None = None

    def token(self, generation: int) -> str:
        """A run's own; other tests' runs on this machine have others."""
        return f"token-{self.home.parent.name}-{os.getpid()}-{generation}"

    def start(self, script: str, **environment: str) -> Child:
        places = Places(self.home)
        self.generation += 1
        places.save_version(self.generation, {"main.py": script.encode()})
        places.name_generation(self.generation)
        version = places.version(self.generation)
        limits = {"memory": 256 << 20, "files": 128, "file_size": 8 << 20, "processes": 32, **self.limits}
        self.pipe = os.open(places.make_pipe(self.generation), os.O_RDONLY | os.O_NONBLOCK)
        token = self.token(self.generation)
        child = Child(
            Launch(
                command=(sys.executable, "-u", "-s", str(version / "main.py")),
                environment={
                    "PATH": os.defpath,
                    "HOME": str(places.work),
                    process.TOKEN: token,
                    **environment,
                },
                work=places.work,
                output=places.pipe(self.generation),
                lock=places.lock,
                pid_file=places.pid_file(self.generation),
                generation=self.generation,
                token=token,
                run=(Path(sys.prefix), Path(sys.base_prefix)),
                read=(version,),
                group=self.group,
                **limits,
            )
        )
        self.started.append(child)
        return child

    def output(self, child: Child, seconds: float = 20.0) -> tuple[str, Exit]:
        """Everything it printed, and how it ended."""
        found, until = b"", time.monotonic() + seconds
        while True:
            end = child.poll()
            found += self.read()
            if end is not None:
                return found.decode("utf-8", "replace"), end
            assert time.monotonic() < until, found.decode("utf-8", "replace")
            time.sleep(0.01)

    def read(self) -> bytes:
        found = b""
        while True:
            try:
                part = os.read(self.pipe, 65536)
            except BlockingIOError:
                return found
            if not part:
                return found
            found += part

    def wait_for(self, words: bytes, seconds: float = 20.0) -> bytes:
        found, until = b"", time.monotonic() + seconds
        while words not in found:
            assert time.monotonic() < until, found
            found += self.read()
            time.sleep(0.01)
        return found

    def close(self) -> None:
        for child in self.started:
            process.kill_session(child.identity)
            child.poll()
