"""What can be traded, broker by broker: lookups in the master in use, and putting a new master in its place.

Each broker (the paper exchange is one, named "paper") has its own master file; an account's symbols resolve in its own
broker's. Every process looks at most once a second whether another file is in use; each thread has its own connection.
"""

from __future__ import annotations

import hashlib
import importlib
import logging
import secrets
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Literal

from sqlalchemy.exc import SQLAlchemyError

from broker import catalog
from broker.interface import InstrumentLookup
from broker.paper.universe import fingerprint, universe
from database import masters
from database.engine import Database
from database.instrument_files import FORMAT, InstrumentFile, build
from database.masters import Master
from domain.calendar import Calendar
from domain.clock import IST, Clock
from domain.errors import InvalidRequest, Unavailable
from domain.masters import BadRow, LoadReport
from domain.model import Exchange, Instrument, InstrumentKind

log = logging.getLogger(__name__)

PAPER = "paper"
MAX_FOUND = 500

_LOOK_EVERY = 1.0
_REMEMBERED = 20_000
_UNUSED_AFTER = timedelta(seconds=30)
_ABANDONED_AFTER = 3600.0
_SETTLED_AFTER = 60.0

Levels = Mapping[tuple[Exchange, str], Decimal]
Rows = Iterable[Instrument | BadRow]


class _Current:
    """What one process knows of one broker's master."""

    __slots__ = ("by_number", "found", "looked_at", "path")

    def __init__(self) -> None:
        self.path: Path | None = None
        self.looked_at = float("-inf")
        self.found: dict[tuple[str, str, str], Instrument] = {}
        self.by_number: dict[int, Instrument] = {}


class Instruments:
    """Lookups cost microseconds, searches a few milliseconds; all of it is safe from many threads."""

    def __init__(self, db: Database, folder: Path, clock: Clock, calendar: Callable[[], Calendar]) -> None:
        """`db` is the platform store, `folder` holds a directory of files a broker; `calendar` moves expiries."""
        self._db = db
        self._folder = folder
        self._clock = clock
        self._calendar = calendar
        self._current: dict[str, _Current] = {}
        self._local = threading.local()
        self._loading = threading.Lock()

    # -- lookups
    def get(self, broker: str, exchange: str, symbol: str) -> Instrument | None:
        """The instrument of a canonical symbol, exactly spelt; None when the broker's master has none."""
        current = self._look(broker)
        key = ("symbol", exchange, symbol)
        found = current.found.get(key)
        if found is None:
            file = self._file(broker, current)
            found = self._remember(current, key, file.by_symbol(exchange, symbol) if file else None)
        return found

    def find(self, broker: str, broker_exchange: str, broker_token: str) -> Instrument | None:
        """The instrument of a broker's token or, failing that, of its own symbol; None when unknown."""
        current = self._look(broker)
        key = ("broker", broker_exchange, broker_token)
        found = current.found.get(key)
        if found is None:
            file = self._file(broker, current)
            found = self._remember(
                current, key, file.by_broker(broker_exchange, broker_token) if file else None
            )
        return found

    def lookup(self, broker: str) -> InstrumentLookup:
        """`find` of one broker, in the shape that a Broker is given."""
        return lambda broker_exchange, text: self.find(broker, broker_exchange, text)

    def row_id(self, broker: str, exchange: str, symbol: str) -> int | None:
        """A number for an instrument, good until the next master; None when unknown."""
        file = self._opened(broker)
        return file.row_id(exchange, symbol) if file else None

    def search(
        self, broker: str, query: str, exchange: str | None = None, limit: int = MAX_FOUND
    ) -> list[Instrument]:
        """Instruments that match every word of `query`, best first, at most 500. [] for a blank query."""
        current = self._look(broker)
        file = self._file(broker, current)
        if len(current.by_number) > _REMEMBERED:
            current.by_number = {}
        return file.search(query, exchange, min(limit, MAX_FOUND), current.by_number) if file else []

    def expiries(
        self, broker: str, name: str, exchange: str, kind: Literal["futures", "options"]
    ) -> list[date]:
        """Last trading days from today on of an exact underlying, ascending."""
        file = self._opened(broker)
        today = self.today()
        listed = file.expiries(name, exchange, options=kind == "options") if file else []
        return [day for day in listed if day >= today]

    def strikes(
        self, broker: str, name: str, expiry: date, kind: InstrumentKind, exchange: str
    ) -> list[Decimal]:
        """Listed strikes of one chain's calls or puts, ascending."""
        file = self._opened(broker)
        return file.strikes(name, expiry, kind, exchange) if file else []

    def chain(self, broker: str, name: str, expiry: date, exchange: str) -> list[Instrument]:
        """Every option of one expiry, by strike."""
        file = self._opened(broker)
        return file.chain(name, expiry, exchange) if file else []

    def rows(self, broker: str, exchange: str | None = None) -> Iterator[Instrument]:
        """Every instrument (of one exchange), read in pieces; to be used up in the thread that asked."""
        file = self._opened(broker)
        return file.rows(exchange) if file else iter(())

    def today(self) -> date:
        """The date in India."""
        return self._clock.now().astimezone(IST).date()

    # -- masters
    def status(self) -> list[Master]:
        """The master in use of every broker that has one."""
        return masters.all_current(self._db)

    def counts(self, broker: str) -> dict[str, int]:
        """Exchange -> instruments in the master in use; {} when there is none."""
        file = self._opened(broker)
        return file.counts() if file else {}

    def load_paper(self, today: date | None = None, levels: Levels | None = None) -> LoadReport:
        """Make the paper exchange's master of a day, unless it is in use already.

        levels  where underlyings stand, to list strikes around them; None means the facts' reference levels
        """
        day = today or self.today()
        calendar = self._calendar()
        digest = _short(fingerprint(), sorted((e.value, s, str(v)) for (e, s), v in (levels or {}).items()))
        return self._load(PAPER, day, digest, universe(day, calendar, levels), "facts", drift=False)

    def load_file(
        self, path: Path, broker: str, format: str | None = None, *, force: bool = False
    ) -> LoadReport:
        """Load a broker's master from a file of its own kind. `force` accepts one that is far smaller or larger.

        Raises InvalidRequest for a broker without a loader, FileNotFoundError, and DamagedMaster: the master in use
        stays then.
        """
        read = _loader(broker, format)
        with path.open("rb") as file:
            digest = _short(hashlib.file_digest(file, "blake2b").hexdigest(), fingerprint())
        return self._load(broker, self.today(), digest, read(path), path.name, drift=not force)

    def load_rows(self, broker: str, rows: Rows, source: str, *, force: bool = False) -> LoadReport:
        """Load a master that a broker's client has just fetched. Raises DamagedMaster; the master in use stays then."""
        digest = secrets.token_hex(6)
        return self._load(broker, self.today(), digest, rows, source, drift=not force)

    def clean_up(self) -> list[str]:
        """Remove files that no process reads any more; their names."""
        removed = []
        for master in self.status():
            if self._clock.now() - master.loaded_at < _UNUSED_AFTER:
                continue
            for path in sorted((self._folder / master.broker).glob("*.sqlite")):
                if path.name != master.file and _older(path, _SETTLED_AFTER) and _remove(path):
                    removed.append(f"{master.broker}/{path.name}")
        for path in self._folder.glob("*/.*.building"):
            if _older(path, _ABANDONED_AFTER) and _remove(path):
                removed.append(path.name)
        return removed

    def close(self) -> None:
        """Close this thread's files."""
        for _, file in getattr(self._local, "files", {}).values():
            file.close()
        self._local.files = {}

    # -- inner
    def _load(
        self, broker: str, day: date, digest: str, rows: Rows, source: str, *, drift: bool
    ) -> LoadReport:
        report = LoadReport(broker=broker, file=f"{day.isoformat()}-{digest}.sqlite")
        with self._loading:
            started = time.perf_counter()
            before = masters.current(self._db, broker)
            path = self._folder / broker / report.file
            if before is not None and before.file == report.file and path.exists():
                report.rows, report.changed = before.rows, False
                return report
            path.parent.mkdir(parents=True, exist_ok=True)
            build(path, rows, report, previous=before.rows if before and drift else None)
            masters.adopt(
                self._db,
                Master(
                    broker=broker,
                    file=report.file,
                    rows=report.rows,
                    put_aside=report.bad,
                    source=source[:200],
                    loaded_at=self._clock.now(),
                ),
            )
            self._current.pop(broker, None)
            report.seconds = time.perf_counter() - started
        log.info("master loaded broker=%s rows=%d put_aside=%d", broker, report.rows, report.bad)
        self.clean_up()
        return report

    def _look(self, broker: str) -> _Current:
        """What is known of a broker's master, at most a second old."""
        current = self._current.get(broker)
        now = time.monotonic()
        if current is not None and now - current.looked_at < _LOOK_EVERY:
            return current
        try:
            master = masters.current(self._db, broker)
        except SQLAlchemyError as error:
            if current is None:
                raise Unavailable("it cannot be read which instruments are in use") from error
            log.warning(
                "master not looked up, known one used broker=%s error=%s", broker, type(error).__name__
            )
            current.looked_at = now
            return current
        path = self._folder / broker / master.file if master else None
        if current is None or current.path != path:
            current = _Current()
            current.path = path
            current.looked_at = now
            self._current[broker] = current
        current.looked_at = now
        return current

    def _opened(self, broker: str) -> InstrumentFile | None:
        return self._file(broker, self._look(broker))

    def _file(self, broker: str, current: _Current) -> InstrumentFile | None:
        """This thread's connection to the master in use; None when the broker has none. Raises Unavailable."""
        if current.path is None:
            return None
        files: dict[str, tuple[Path, InstrumentFile]] = self._local.__dict__.setdefault("files", {})
        path, file = files.get(broker, (None, None))
        if file is not None and path == current.path:
            return file
        try:
            opened = InstrumentFile(current.path)
        except sqlite3.Error as error:
            raise Unavailable(f"the instrument file of {broker} cannot be read: load it again") from error
        if file is not None:
            file.close()
        files[broker] = (current.path, opened)
        return opened

    @staticmethod
    def _remember(
        current: _Current, key: tuple[str, str, str], found: Instrument | None
    ) -> Instrument | None:
        if found is not None:
            if len(current.found) >= _REMEMBERED:
                current.found.clear()
            current.found[key] = found
        return found


def _loader(broker: str, format: str | None) -> Callable[[Path], Rows]:
    """`read(path)` of the broker's package, else of its family's. `format` names another broker or family."""
    name = format or broker
    homes = [f"broker.{name}", f"broker.families.{name}"] if name.isidentifier() else []
    if name in catalog.names() and (family := catalog.manifest(name).family):
        homes.append(f"broker.families.{family}")
    for home in homes:
        try:
            module = importlib.import_module(f"{home}.instruments")
        except ModuleNotFoundError as error:
            if error.name is not None and (
                error.name == f"{home}.instruments" or home.startswith(error.name)
            ):
                continue
            raise
        read: Callable[[Path], Rows] = module.read
        return read
    raise InvalidRequest(f"no loader for masters of '{name}'", "broker")


def _short(*parts: object) -> str:
    return hashlib.blake2b(repr((FORMAT, *parts)).encode(), digest_size=6).hexdigest()


def _older(path: Path, seconds: float) -> bool:
    """Whether a file has stood unchanged that long: one just put in place may not be the one in use yet."""
    return time.time() - path.stat().st_mtime > seconds


def _remove(path: Path) -> bool:
    """Whether it went; a file that Windows still has open stays for the next time."""
    try:
        path.unlink(missing_ok=True)
    except PermissionError:
        return False
    return True
