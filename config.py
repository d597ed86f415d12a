"""Settings: every environment variable of the product, typed, read once at start.

Composition roots call `load`; everybody else is handed a `Settings`. The environment wins over `.env`.
A wrong value stops the program and names the variable. `.env.sample` is tested to equal what stands here.
"""

from __future__ import annotations

import ipaddress
import os
import re
import secrets
import sys
import tempfile
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, dataclass, field, fields
from datetime import UTC, datetime
from datetime import time as wall_time
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from domain.clock import IST

ROOT = Path(__file__).resolve().parent
SAMPLE = ROOT / ".env.sample"
_RATE = re.compile(r"\d+ ?(per|/) ?(\d+ )?(second|minute|hour|day|month|year)s?", re.ASCII)
_NIGHT = wall_time(3, 0)
_TRUE, _FALSE = frozenset({"true", "1", "yes", "on"}), frozenset({"false", "0", "no", "off"})


class SettingsError(Exception):
    """A setting is missing, wrong or unreadable. `str(error)` names it, says what to do, shows no secret."""


class SystemClock:
    """The real `domain.clock.Clock`."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()


class Places(NamedTuple):
    """Where an install keeps its things. One with a data directory of its own shares no secret."""

    data_dir: Path
    env_file: Path


def places(data_dir: Path | None = None) -> Places:
    """The default install (`var/` and `.env` beside the program), or one that lives wholly in `data_dir`."""
    if data_dir is None:
        return Places(ROOT / "var", ROOT / ".env")
    home = data_dir.expanduser().resolve()
    return Places(home, home / ".env")


def _text(value: str) -> str:
    return value


def _flag(value: str) -> bool:
    word = value.lower()
    if word in _TRUE | _FALSE:
        return word in _TRUE
    raise ValueError("say TRUE or FALSE")


def _whole(low: int, high: int) -> Callable[[str], int]:
    def read(value: str) -> int:
        if not re.fullmatch(r"[0-9]{1,12}", value, re.ASCII) or not low <= int(value) <= high:
            raise ValueError(f"a whole number from {low} to {high} is needed")
        return int(value)

    return read


def _one_of(*words: str) -> Callable[[str], str]:
    def read(value: str) -> str:
        for word in words:
            if value.lower() == word.lower():
                return word
        raise ValueError(f"one of {', '.join(words)} is needed")

    return read


def _rate(value: str) -> str:
    parts = [part.strip() for part in value.split(";")]
    if not all(_RATE.fullmatch(part) for part in parts) or any(int(re.split(r"\D", p)[0]) < 1 for p in parts):
        raise ValueError("a rate such as '10 per second' is needed; several are joined by ';'")
    return ";".join(parts)


def _wall(value: str) -> wall_time:
    if not re.fullmatch(r"[0-2]?[0-9]:[0-5][0-9]", value, re.ASCII):
        raise ValueError("a time of day such as 03:00 (IST) is needed")
    hour, minute = value.split(":")
    return wall_time(int(hour), int(minute))


def _speed(value: str) -> float:
    if not re.fullmatch(r"[0-9]{1,5}(\.[0-9]{1,3})?", value, re.ASCII) or not 0 < float(value) <= 10_000:
        raise ValueError("a number above 0 and up to 10000 is needed")
    return float(value)


def _market_time(value: str) -> datetime:
    moment = datetime.fromisoformat(value)
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=IST)


def _words(value: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in value.split(",") if word.strip())


def _networks(value: str) -> tuple[str, ...]:
    return tuple(str(ipaddress.ip_network(word, strict=False)) for word in _words(value))


def _url(*schemes: str) -> Callable[[str], str]:
    def read(value: str) -> str:
        parts = urlsplit(value)
        if value and (parts.scheme not in schemes or not (parts.netloc or parts.path)):
            raise ValueError(f"a URL that starts with {' or '.join(f'{s}://' for s in schemes)} is needed")
        return value.rstrip("/")

    return read


def _service(value: str) -> str:
    return "" if value.lower() == "none" else _url("https", "http")(value)


def _database(value: str) -> str:
    """PostgreSQL by URL; anything SQLite means the four files of the data directory and reads as ""."""
    if not value or value.startswith("sqlite:"):
        return ""
    return _url("postgresql", "postgres", "postgresql+psycopg")(value).replace(
        "postgres://", "postgresql://", 1
    )


def _kept_elsewhere(value: str) -> str:
    """A broker login of an earlier install; what its sample file had in its place is nothing."""
    return "" if value.startswith("YOUR_BROKER_") else value


def _secret(value: str) -> str:
    if len(value) < 32:
        raise ValueError("at least 32 characters are needed")
    return value


def _fernet_keys(value: str) -> tuple[str, ...]:
    keys = _words(value)
    try:
        good = bool(keys) and all(len(urlsafe_b64decode(key)) == 32 for key in keys)
    except ValueError:
        good = False
    if not good:
        raise ValueError("one or more Fernet keys (32 bytes in URL-safe base64), newest first, are needed")
    return keys


def setting(read: Callable[[str], Any], default: Any = MISSING) -> Any:
    """A field read from the variable of its own name in capitals; required when it has no default."""
    return field(default=default, metadata={"read": read})


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """One install's configuration. A field's name in capitals is its variable's name.

    data_dir           from the command line
    database_url       "" for SQLite files in data_dir
    fernet_keys        newest first: the first encrypts, all decrypt
    host_server        public URL of the web server; derived from host and port when not set
    websocket_url      public URL of the feed; likewise
    broker_api_key and the four after it: one broker login, taken over once (`services/env_import.py`)
    session_expiry_time, in IST
    paper_replay       a directory of recorded candles and ticks, or files of them separated by commas; "" simulates
    paper_replay_from  market time to begin at; None is the first recorded day's opening
    trusted_proxies    networks whose X-Forwarded-* headers are believed
    metrics_networks   networks that may read /metrics
    heartbeat_url      told each minute that this install works, for a watcher outside; "" tells nobody
    egress_check_url   asked for this machine's outgoing address when somebody presses the button; "" asks nobody
    web_workers        web processes; more than one needs redis_url
    """

    data_dir: Path
    app_key: str = setting(_secret)
    api_key_pepper: str = setting(_secret)
    fernet_keys: tuple[str, ...] = setting(_fernet_keys)

    flask_host_ip: str = setting(_text, "127.0.0.1")
    flask_port: int = setting(_whole(0, 65535), 5000)
    host_server: str = setting(_url("http", "https"), "")
    websocket_host: str = setting(_text, "127.0.0.1")
    websocket_port: int = setting(_whole(0, 65535), 8765)
    websocket_url: str = setting(_url("ws", "wss"), "")
    trusted_proxies: tuple[str, ...] = setting(_networks, ())
    metrics_networks: tuple[str, ...] = setting(_networks, ("127.0.0.0/8", "::1/128"))
    heartbeat_url: str = setting(_url("https", "http"), "")
    egress_check_url: str = setting(_service, "https://checkip.amazonaws.com")
    web_threads: int = setting(_whole(2, 512), 64)
    web_workers: int = setting(_whole(1, 32), 1)

    database_url: str = setting(_database, "")
    redis_url: str = setting(_url("redis", "rediss", "unix"), "")

    bus_transport: str = setting(_one_of("ipc", "tcp"), "ipc" if sys.platform != "win32" else "tcp")
    zmq_host: str = setting(_text, "127.0.0.1")
    zmq_port: int = setting(_whole(1, 65532), 5555)
    max_symbols_per_websocket: int = setting(_whole(1, 100_000), 1000)
    max_websocket_connections: int = setting(_whole(1, 100), 3)

    paper_replay: str = setting(_text, "")
    paper_replay_from: datetime | None = setting(_market_time, None)
    paper_replay_speed: float = setting(_speed, 1.0)

    api_rate_limit: str = setting(_rate, "50 per second")
    order_rate_limit: str = setting(_rate, "10 per second")
    smart_order_rate_limit: str = setting(_rate, "10 per second")
    greeks_rate_limit: str = setting(_rate, "30 per minute")
    webhook_rate_limit: str = setting(_rate, "100 per minute")
    telegram_rate_limit: str = setting(_rate, "30 per minute")
    whatsapp_rate_limit: str = setting(_rate, "30 per minute")
    portfolio_api_rate_limit: str = setting(_rate, "10 per minute")
    portfolio_tearsheet_rate_limit: str = setting(_rate, "5 per minute")
    sip_api_rate_limit: str = setting(_rate, "10 per minute")
    login_rate_limit_min: str = setting(_rate, "5 per minute")
    login_rate_limit_hour: str = setting(_rate, "25 per hour")

    broker_api_key: str = setting(_kept_elsewhere, "")
    broker_api_secret: str = setting(_kept_elsewhere, "")
    broker_api_key_market: str = setting(_kept_elsewhere, "")
    broker_api_secret_market: str = setting(_kept_elsewhere, "")
    redirect_url: str = setting(_text, "")

    session_expiry_time: wall_time = setting(_wall, _NIGHT)
    cors_enabled: bool = setting(_flag, True)
    cors_allowed_origins: tuple[str, ...] = setting(_words, ("http://127.0.0.1:5000",))
    cors_allowed_methods: tuple[str, ...] = setting(_words, ("GET", "POST", "DELETE", "PUT", "PATCH"))
    cors_allowed_headers: tuple[str, ...] = setting(
        _words, ("Content-Type", "Authorization", "X-Requested-With")
    )
    cors_exposed_headers: tuple[str, ...] = setting(_words, ())
    cors_allow_credentials: bool = setting(_flag, False)
    cors_max_age: int = setting(_whole(0, 604_800), 86_400)

    log_level: str = setting(_one_of("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"), "INFO")
    log_to_file: bool = setting(_flag, True)
    log_dir: str = setting(_text, "")
    log_retention: int = setting(_whole(1, 3650), 14)

    def __post_init__(self) -> None:
        if not self.host_server:
            object.__setattr__(self, "host_server", f"http://{reach(self.flask_host_ip)}:{self.flask_port}")
        if not self.websocket_url:
            object.__setattr__(
                self, "websocket_url", f"ws://{reach(self.websocket_host)}:{self.websocket_port}"
            )

    @property
    def keys_dir(self) -> Path:
        """The bus's keys; 0700."""
        return self.data_dir / "keys"

    @property
    def logs(self) -> Path:
        """Where log files go: LOG_DIR, against the data directory when relative, else `<data_dir>/log`."""
        return self.data_dir / (self.log_dir or "log")

    @property
    def replay_paths(self) -> list[Path]:
        """Where recorded prices are read from; [] where the market is simulated."""
        return [self.data_dir / Path(word).expanduser() for word in _words(self.paper_replay)]

    def secret_values(self) -> tuple[str, ...]:
        """What no log line may show."""
        password = urlsplit(self.database_url).password, urlsplit(self.redis_url).password
        kept = (
            self.broker_api_key,
            self.broker_api_secret,
            self.broker_api_key_market,
            self.broker_api_secret_market,
        )
        return (
            self.app_key,
            self.api_key_pepper,
            *self.fernet_keys,
            *(word for word in (*password, *kept) if word),
        )


def reach(host: str) -> str:
    """How this machine reaches a server that binds `host`, as it stands in a URL."""
    name = {"0.0.0.0": "127.0.0.1", "": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104
    return f"[{name}]" if ":" in name else name


def variables() -> dict[str, Field[Any]]:
    """Variable name -> the Settings field it fills, in order."""
    return {item.name.upper(): item for item in fields(Settings) if "read" in item.metadata}


def load(
    data_dir: Path | None = None,
    environ: Mapping[str, str] | None = None,
    overrides: Mapping[str, str] | None = None,
) -> Settings:
    """The settings of an install. Writes `.env` with fresh secrets when the install is new.

    `overrides` win over `environ`, which wins over `.env`. Raises SettingsError.
    """
    where = places(data_dir)
    ensure_env_file(where)
    found = {
        **read_env_file(where.env_file),
        **(os.environ if environ is None else environ),
        **(overrides or {}),
    }
    values: dict[str, Any] = {}
    for name, item in variables().items():
        given = found.get(name, "").strip()
        if given:
            values[item.name] = _read(name, item, given)
        elif item.default is MISSING:
            raise SettingsError(f"{name} is missing: set it in {where.env_file} (see .env.sample)")
    settings = Settings(data_dir=where.data_dir, **values)
    _check_together(settings)
    return settings


def _read(name: str, item: Field[Any], given: str) -> Any:
    try:
        return item.metadata["read"](given)
    except ValueError as error:
        shown = "" if item.default is MISSING or name.endswith("_URL") else f" {given!r} is not usable:"
        raise SettingsError(f"{name}:{shown} {error}") from error


def _check_together(settings: Settings) -> None:
    if settings.web_workers > 1 and not settings.redis_url:
        raise SettingsError(
            "WEB_WORKERS: more than one web process counts rate limits together, so REDIS_URL is needed"
        )
    if settings.paper_replay and (missing := [p for p in settings.replay_paths if not p.exists()]):
        raise SettingsError(f"PAPER_REPLAY: {missing[0]} does not exist")
    if settings.flask_port and settings.flask_port == settings.websocket_port:
        raise SettingsError(
            f"WEBSOCKET_PORT: {settings.websocket_port} is FLASK_PORT too; each needs its own"
        )


def ensure_env_file(where: Places) -> bool:
    """Write a new install's `.env` (mode 0600) from the sample. True when it wrote.

    An existing file is left as it is, but FERNET_KEYS is added to one brought from elsewhere: it lacks the
    variable, and nothing is stored yet.
    """
    where.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not where.env_file.exists():
        _write_private(where.env_file, _with_secrets(SAMPLE.read_text(encoding="utf-8")))
        return True
    if "FERNET_KEYS" in read_env_file(where.env_file) or (where.data_dir / "platform.db").exists():
        return False
    text = where.env_file.read_text(encoding="utf-8").rstrip("\n")
    _write_private(where.env_file, f"{text}\nFERNET_KEYS={fresh_fernet_key()}\n")
    return True


def fresh_fernet_key() -> str:
    """A new Fernet key."""
    return urlsafe_b64encode(secrets.token_bytes(32)).decode()


def _with_secrets(text: str) -> str:
    fresh = {
        "APP_KEY": secrets.token_hex(32),
        "API_KEY_PEPPER": secrets.token_hex(32),
        "FERNET_KEYS": fresh_fernet_key(),
    }
    for name, value in fresh.items():
        text = re.sub(rf"(?m)^{name}=$", f"{name}={value}", text)
    return text


def _write_private(path: Path, text: str) -> None:
    """Replace a file whole, readable by its owner only."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".env.")
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    Path(name).replace(path)


def read_env_file(path: Path) -> dict[str, str]:
    """An env file's assignments: `NAME=value`, quotes and `export` optional. Raises SettingsError."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(_unreadable(path, error)) from error
    found = {}
    for number, line in enumerate(lines, 1):
        stripped = line.strip().removeprefix("export ").strip()
        if not stripped or stripped.startswith("#"):
            continue
        name, equals, value = stripped.partition("=")
        if not equals:
            raise SettingsError(f"{path}, line {number}: NAME=value is expected")
        found[name.strip()] = _unquoted(value.strip())
    return found


def _unquoted(value: str) -> str:
    quote = value[:1]
    if quote in ("'", '"') and (end := value.find(quote, 1)) > 0:
        return value[1:end]
    return re.split(r"\s+#", value, maxsplit=1)[0].strip()


def _unreadable(path: Path, error: OSError | UnicodeDecodeError) -> str:
    if not isinstance(error, PermissionError):
        return f"{path} cannot be read: {error}"
    owner = path.stat()
    mine = os.getuid() if hasattr(os, "getuid") else "this user"
    return (
        f"{path} cannot be read by uid {mine}: "
        f"it belongs to uid {owner.st_uid} with mode {owner.st_mode & 0o777:04o}. "
        f"Give it to the user that runs the program: chown {mine} {path} && chmod 600 {path}"
    )
