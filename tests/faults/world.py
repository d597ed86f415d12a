"""Real processes for fault campaigns: the platform, brokers' simulators beside it, and accounts logged in there.

The platform may be started from a patched copy of the tree: a build that is broken, or that dies, on purpose.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import psutil
import requests

from bench.install import ROOT, Install

_LEFT_OUT = shutil.ignore_patterns(
    ".git",
    ".venv",
    ".*_cache",
    ".schemathesis",
    "node_modules",
    "var",
    "samples",
    "docs",
    "browser",
)


@dataclass(frozen=True, slots=True)
class Patch:
    """One place of the tree changed: `old` must stand exactly once in the file."""

    path: str
    old: str
    new: str

    def apply(self, tree: Path) -> None:
        file = tree / self.path
        text = file.read_text(encoding="utf-8")
        if text.count(self.old) != 1:
            raise ValueError(f"{self.path}: found {text.count(self.old)} times: {self.old!r}")
        file.write_text(text.replace(self.old, self.new), encoding="utf-8")


def patched_tree(where: Path, patches: list[Patch]) -> Path:
    """A copy of the tree with the patches in it."""
    shutil.copytree(ROOT, where, ignore=_LEFT_OUT)
    for patch in patches:
        patch.apply(where)
    return where


class Build(Install):
    """An install that runs from another tree."""

    def __init__(self, home: Path, tree: Path = ROOT, **settings: str) -> None:
        super().__init__(home, **settings)
        self.tree = tree

    def _command(self, *words: str) -> list[str]:
        """This interpreter, the tree's modules: `manage.py` would prepare a `.venv` in the copy first."""
        self._environment["PYTHONPATH"] = str(self.tree)
        verb, *more = words
        return [sys.executable, "-P", "-m", "commands", verb, "--data-dir", str(self.home), *more]


class Face:
    """A broker's simulator in a process of its own."""

    def __init__(self, name: str, seed: int, home: Path) -> None:
        command = [sys.executable, str(ROOT / "manage.py"), "simulate", "--still", "--seed", str(seed), name]
        with (home / f"{name}.log").open("a") as log:
            self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)
        assert self.process.stdout is not None
        self.name = name
        self.announcement: dict[str, Any] = json.loads(self.process.stdout.readline())

    def control(self, action: str, **more: Any) -> Any:
        """One control call; its result. Raises RuntimeError with the simulator's words."""
        answer = requests.post(
            self.announcement["control"], json={"action": action, **more}, timeout=30
        ).json()
        if not answer.get("ok"):
            raise RuntimeError(f"{self.name} {action}: {answer}")
        return answer["result"]

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(10)


class World:
    """Runs while entered. `keys` are API keys by broker name, each of a live account that is logged in."""

    def __init__(self, home: Path, brokers: tuple[str, ...], seed: int, tree: Path = ROOT) -> None:
        home.mkdir(parents=True, exist_ok=True)
        self.install = Build(home / "install", tree)
        self._home, self._brokers, self._seed = home, brokers, seed
        self.faces: dict[str, Face] = {}
        self.keys: dict[str, str] = {}

    def __enter__(self) -> World:
        self.install.__enter__()
        try:
            for name in self._brokers:
                self._join(name)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        for face in self.faces.values():
            face.stop()
        self.install.stop()

    def _join(self, name: str) -> None:
        face = self.faces[name] = Face(name, self._seed, self._home)
        face.control("set_funds", amount=10**13)
        manage = self.install.manage
        words = json.dumps(face.announcement)
        manage("account", "add", name, "--user", "bench", "--broker", name)
        manage("broker", "login", name, "--user", "bench", "--stdin", words=words)
        self.keys[name] = manage("apikey", "create", "--user", "bench", "--account", name).strip()
        answer = requests.post(
            f"{self.install.http}/api/v1/analyzer/toggle",
            json={"apikey": self.keys[name], "mode": False},
            timeout=20,
        ).json()
        if answer.get("status") != "success":
            raise RuntimeError(f"{name} did not go live: {answer}")

    def restart(self, tree: Path) -> None:
        """Stop the platform and start it from another tree over the same data; the simulators go on."""
        self.install.stop()
        self.install.tree = tree
        self.install.start()

    def storm(self, plan: list[dict[str, Any]]) -> None:
        for number, face in enumerate(self.faces.values()):
            face.control("faults", plan=plan, seed=self._seed + number)

    def heal(self) -> None:
        self.storm([])

    # -- processes
    def role(self, name: str) -> psutil.Process | None:
        """The present process of a role, None while there is none."""
        for child in psutil.Process(self.install.process.pid).children():
            try:
                if child.status() != psutil.STATUS_ZOMBIE and _title(child) == f"openalgo {name}":
                    return child
            except psutil.NoSuchProcess:
                continue
        return None

    def kill(self, name: str) -> int:
        """kill -9 of a role; its pid, 0 when it was not running."""
        found = self.role(name)
        if found is None:
            return 0
        found.kill()
        return found.pid

    def ready_again(self, name: str, old: int, patience: float = 60.0) -> float:
        """Seconds until the role runs under another pid and the web answers. Raises TimeoutError."""
        begun = time.monotonic()
        while time.monotonic() - begun < patience:
            found = self.role(name)
            if found is not None and found.pid != old and self._answers():
                return time.monotonic() - begun
            time.sleep(0.1)
        raise TimeoutError(f"{name} did not come back within {patience:.0f} s")

    def _answers(self) -> bool:
        try:
            answer = requests.post(
                f"{self.install.http}/api/v1/ping", json={"apikey": self.install.key}, timeout=5
            )
        except requests.RequestException:
            return False
        return answer.status_code == 200

    def orphans(self) -> list[str]:
        """Command lines of processes that still name this install."""
        home = str(self.install.home)
        found = []
        for process in psutil.process_iter(["cmdline"]):
            line = " ".join(process.info["cmdline"] or ())
            if home in line:
                found.append(line)
        return found


def _title(process: psutil.Process) -> str:
    return " ".join(process.cmdline()).strip()
