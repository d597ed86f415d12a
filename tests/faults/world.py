"""Real processes for fault campaigns: the platform, brokers' simulators beside it, and accounts logged in there.

The platform may be started from a patched copy of the tree: a build that is broken, or that dies, on purpose.
"""

from __future__ import annotations

import json
import shutil
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import psutil
import requests

import config
from bench.install import ROOT, Install
from broker import catalog
from domain.model import Mode
from services.masters import load_master
from services.platform import build_platform
from tests.faults import paper
from tests.installs import copied

PAPER = "paper"

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


SHORT = [Patch("services/reconcile.py", "SHORTEST = 30.0\n", "SHORTEST = 12.0\n")]
"""For the short forms: an order that no book shows is given up after thrice the longest lag of the storm's books."""


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
    """Runs while entered. `keys` are API keys by broker name, each of a live account that is logged in; "paper" is the
    user's own paper account, when asked for."""

    def __init__(
        self, home: Path, brokers: tuple[str, ...], seed: int, tree: Path = ROOT, *, on_paper: bool = False
    ) -> None:
        home.mkdir(parents=True, exist_ok=True)
        self.install = Build(home / "install", tree)
        self.home, self._brokers, self._seed, self._on_paper = home, brokers, seed, on_paper
        self.faces: dict[str, Face] = {}
        self.keys: dict[str, str] = {}

    def __enter__(self) -> World:
        copied(self.install.home)
        self.install.__enter__()
        try:
            self.faces = {name: Face(name, self._seed, self.home) for name in self._brokers}
            self.keys = self._join()
            if self._on_paper:
                self.keys[PAPER] = self.install.key
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        for face in self.faces.values():
            face.stop()
        self.install.stop()

    def _join(self) -> dict[str, str]:
        """Log a live account of each broker in; their API keys. In this process: a dozen commands would take as long as
        the campaign."""
        platform = build_platform(config.load(self.install.home), "tool")
        accounts, keys = platform.accounts, {}
        user = accounts.user_named("bench")
        for name, face in self.faces.items():
            face.control("set_funds", amount=10**13)
            account = accounts.add_account(user.id, name, name)
            login, given = catalog.manifest(name).login, face.announcement["credentials"]
            urls = {
                role: str(url)
                for role, url in face.announcement.items()
                if role not in ("credentials", "control")
            }
            platform.sessions.save_credentials(
                account, {f.name: given.get(f.name, "") for f in login.fields}, urls
            )
            platform.sessions.log_in(account, {f.name: given.get(f.name, "") for f in login.ask})
            load_master(platform.sessions, platform.instruments, account, lambda stage, done, total: None)
            accounts.set_mode(accounts.caller_of_user(user.id, account.id, door="cli"), Mode.LIVE)
            keys[name] = accounts.create_key(user.id, account_id=account.id, name=name)
        platform.close()
        return keys

    def restart(self, tree: Path) -> None:
        """Stop the platform and start it from another tree over the same data; the simulators go on."""
        self.install.stop()
        self.install.tree = tree
        self.install.start()

    def truth(self, name: str) -> dict[str, Any]:
        """What a broker, or the paper exchange, really has."""
        if name == PAPER:
            return paper.truth(self.install.home)
        found: dict[str, Any] = self.faces[name].control("truth")
        return found

    def storm(self, plans: dict[str, list[dict[str, Any]]]) -> None:
        """Put these fault plans in force, by broker."""
        for number, (name, plan) in enumerate(plans.items()):
            self.faces[name].control("faults", plan=plan, seed=self._seed + number)

    def heal(self) -> None:
        self.storm({name: [] for name in self.faces})

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

    def ready_again(self, name: str, old: int, since: float, patience: float = 60.0) -> float:
        """Seconds from the moment `since` until the role works under another pid than `old`. Raises TimeoutError."""
        while time.monotonic() - since < patience:
            found = self.role(name)
            if found is not None and found.pid != old and self._works(name, found.pid):
                return time.monotonic() - since
            time.sleep(0.1)
        raise TimeoutError(f"{name} did not come back within {patience:.0f} s")

    def _works(self, name: str, pid: int) -> bool:
        """Whether a worker holds the lease; of the others, whether a paper account's funds can be read."""
        if name == "worker":
            return self._lease_holder() == pid
        try:
            answer = requests.post(
                f"{self.install.http}/api/v1/funds", json={"apikey": self.install.key}, timeout=5
            )
        except requests.RequestException:
            return False
        return answer.status_code == 200

    def _lease_holder(self) -> int:
        """The process that holds the worker's lease now, 0 when none does."""
        with closing(sqlite3.connect(f"file:{self.install.home / 'platform.db'}?mode=ro", uri=True)) as store:
            query = "select holder from leases where name = 'worker' and until > ?"
            row = store.execute(query, (int(time.time() * 1e6),)).fetchone()
        return int(row[0].split(":")[1]) if row else 0

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
