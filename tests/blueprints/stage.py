"""The pages over the real platform, with one broker that is played by hand."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch

from argon2 import PasswordHasher
from cryptography.fernet import Fernet
from flask import Flask

import blueprints
import config
from broker import catalog
from broker.interface import BrokerSession
from database import migrate
from domain.model import Mode
from restx_api import api
from services import platform as wiring
from services.accounts import Account, Role
from services.platform import Platform, build_platform
from tests.blueprints.broker import MASTER, Books, HandBroker

NOON = datetime(2026, 11, 24, 6, 30, tzinfo=UTC)
PASSWORD = "correct horse battery"
_FERNET = Fernet.generate_key().decode()


class Hands:
    """A clock that is set by hand; noon in India to begin with."""

    def __init__(self) -> None:
        self.at = NOON

    def now(self) -> datetime:
        return self.at

    def sleep(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)

    def monotonic(self) -> float:
        return self.at.timestamp()


def settings(folder: Path, **changes: Any) -> config.Settings:
    values: dict[str, Any] = {
        "app_key": "k" * 40,
        "api_key_pepper": "p" * 40,
        "fernet_keys": (_FERNET,),
        "data_dir": folder,
    }
    return config.Settings(**(values | changes))


def prepare(folder: Path) -> None:
    """An empty install with a small master, to be copied."""
    migrate.upgrade_all("", folder)
    platform = build_platform(settings(folder), clock=Hands())
    platform.instruments.load_rows("paper", MASTER, "by hand")
    platform.close()


class Stage:
    """A Flask app with every page, and hands on what stands behind it."""

    def __init__(self, folder: Path, prepared: Path, **changes: Any) -> None:
        data = folder / "data"
        shutil.copytree(prepared, data)
        self.clock = Hands()
        self.books = Books()
        played = type("PlayedBroker", (HandBroker,), {"books": self.books})

        def paper(session: Any, find: Any, clock: Any, link: Any) -> HandBroker:
            return played(session, find, clock)

        self._patch = patch.object(wiring, "PaperBroker", paper)
        self._patch.start()
        self.platform: Platform = build_platform(settings(data, **changes), clock=self.clock)
        self.platform.orders._pause = self.clock.sleep
        self.accounts = self.platform.accounts
        self.accounts._hasher = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
        templates = str(Path(blueprints.__file__).parent / "templates")
        self.app = Flask("stage", static_folder=None, template_folder=templates)
        self.app.extensions["platform"] = self.platform
        api.register(self.app, self.platform)
        blueprints.register(self.app)
        self.browser = self.app.extensions["browser"]

    def close(self) -> None:
        self._patch.stop()
        self.app.extensions["desk"].close()
        self.platform.close()

    def live_account(self, broker: str) -> Account:
        """A second account of the first user, logged in and live at a broker that is played by hand too."""
        self.platform.instruments.load_rows(broker, MASTER, "by hand")
        account = self.accounts.add_account(1, "Family", broker)
        caller = self.accounts.caller_of_user(1, account.id)
        self.accounts.set_mode(caller, Mode.LIVE)
        session = BrokerSession(account=str(account.id), tokens={}, urls={}, opened_at=NOON)
        facts = {"books": self.books, "manifest": catalog.manifest(broker)}
        played = type("PlayedLive", (HandBroker,), facts)(session, lambda exchange, token: None, self.clock)
        self.platform.sessions._live = lambda account: played  # type: ignore[method-assign]
        return self.accounts.account(account.id)

    def visitor(self, address: str = "10.0.0.7") -> Visitor:
        return Visitor(self, address)

    def owner(self, name: str = "asha") -> Visitor:
        """A visitor who has signed in; the user is made on the first call."""
        if not any(user.name == name for user in self.accounts.users()):
            self.accounts.add_user(name, PASSWORD, role=Role.ADMIN if name == "asha" else Role.TRADER)
        visitor = self.visitor()
        answer = visitor.post("/login", username=name, password=PASSWORD)
        assert answer.status_code == 303, answer.text
        return visitor


class Visitor:
    """A browser: keeps cookies, finds the form's token on the page it posts from."""

    def __init__(self, stage: Stage, address: str) -> None:
        self.client = stage.app.test_client()
        self.address = address

    def get(self, path: str, **headers: str) -> Any:
        return self.client.get(path, headers=headers, environ_base={"REMOTE_ADDR": self.address})

    def post(
        self,
        path: str,
        token: str | None = None,
        data: dict[str, Any] | None = None,
        script: bool = False,
        **fields: Any,
    ) -> Any:
        """POST a form with this session's token (or the one given), as a plain form or as a script."""
        body = {"csrf_token": self.token() if token is None else token, **(data or {}), **fields}
        headers = {"X-Requested-With": "fetch"} if script else {}
        return self.client.post(path, data=body, headers=headers, environ_base={"REMOTE_ADDR": self.address})

    def token(self) -> str:
        page = self.get("/forgot").text
        start = page.index('name="csrf_token" value="') + 25
        return str(page[start : page.index('"', start)])
