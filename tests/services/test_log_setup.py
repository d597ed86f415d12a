"""What a support person may be sent: log lines that hold everything but secrets."""

from __future__ import annotations

import base64
import io
import json
import logging
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from broker import catalog
from services import log_setup
from services.log_setup import DailyFile
from services.redaction import HIDDEN, Redactor

CANARY = "CNRY-5f0c.2e+91"


@pytest.fixture
def console() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    before = root.handlers[:], root.level
    stream = io.StringIO()
    log_setup.configure(role="test", level="DEBUG", console=stream)
    yield stream
    root.handlers[:], root.level = before[0], before[1]


def events(console: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in console.getvalue().splitlines()]


def test_a_line_is_one_json_object(console: io.StringIO) -> None:
    logging.getLogger("services.orders").info("order placed account=%s id=%s", 7, "25112412345678")
    event = events(console)[-1]
    assert event["event"] == "order placed account=7 id=25112412345678"
    assert (event["level"], event["logger"], event["role"]) == ("info", "services.orders", "test")
    assert datetime.fromisoformat(str(event["time"])).tzinfo == UTC


@pytest.mark.parametrize(
    "line",
    [
        "apikey={}",
        "POST /api/v1/instruments?apikey={}&x=1",
        "Authorization: Bearer {}",
        "Authorization: token abc:{}",
        "{{'Cookie': 'session={}; a=b'}}",
        "Set-Cookie: __Host-session={}; Secure",
        '{{"password": "{}", "user": "raj"}}',
        '"{{\\"access_token\\": \\"{}\\"}}"',
        'jData={{"uid":"A1","pwd":"{}"}}&jKey={}',
        "postgresql://openalgo:{}@db/openalgo",
        "https://broker.example/callback?request_token={}&code={}",
        "API_KEY_PEPPER = '{}'",
        "totp: {}",
        "x-api-key={}",
    ],
)
def test_what_goes_by_a_secret_name_is_hidden(console: io.StringIO, line: str) -> None:
    logging.getLogger("services").debug(
        "%s", line.replace("{}", CANARY).replace("{{", "{").replace("}}", "}")
    )
    assert HIDDEN in console.getvalue()
    assert CANARY not in console.getvalue()


def test_known_values_are_hidden_in_every_form(console: io.StringIO) -> None:
    log_setup.redactor.know(CANARY)
    raw = CANARY.encode()
    for form in (CANARY, quote(CANARY, safe=""), base64.b64encode(raw).decode(), raw.hex()):
        logging.getLogger("broker").warning("seen %s here", form)
        assert form.rstrip("=") not in console.getvalue()


def test_tracebacks_extras_and_mappings_are_covered(console: io.StringIO) -> None:
    log_setup.redactor.know(CANARY)
    try:
        raise ValueError(f"bad answer to {CANARY}")
    except ValueError:
        logging.getLogger("broker").exception(
            "failed", extra={"headers": {"X-Api-Key": "zzzzzz", "n": [CANARY]}}
        )
    event = events(console)[-1]
    assert "ValueError" in str(event["exception"])
    assert event["headers"] == {"X-Api-Key": HIDDEN, "n": [HIDDEN]}
    assert CANARY not in console.getvalue()


def test_other_libraries_do_not_show_their_debug_lines(console: io.StringIO) -> None:
    logging.getLogger("urllib3.connectionpool").debug("GET /?apikey=%s", CANARY)
    with pytest.raises(requests.RequestException):
        requests.get(f"http://127.0.0.1:9/?apikey={CANARY}", timeout=1)
    assert CANARY not in console.getvalue()


@pytest.mark.parametrize("name", catalog.names())
def test_every_secret_field_of_every_broker_is_hidden(name: str) -> None:
    login = catalog.manifest(name).login
    for item in (*login.fields, *login.ask):
        if item.secret:
            shown = Redactor().text(f"{item.name}={CANARY} {{'{item.name}': '{CANARY}'}}")
            assert CANARY not in shown, item.name


@pytest.mark.parametrize(
    "line",
    [
        "order placed account=7 id=25112412345678 symbol=NIFTY28MAR2420800CE price=101.55",
        "subscribed exchange=NSE broker_token=738561",
        "listening on http://127.0.0.1:5000",
        "stopping: pinned=3 spinning=2",
        "refused by the broker code=RMS:Blocked exit code: 137",
    ],
)
def test_ordinary_lines_stay(line: str) -> None:
    assert Redactor().text(line) == line


@given(st.text(alphabet=st.characters(min_codepoint=33, max_codepoint=126), min_size=6, max_size=40))
def test_a_known_value_never_survives(secret: str) -> None:
    assert secret not in Redactor([secret]).text(f"a {secret} b {secret}{secret}").replace(HIDDEN, "")


def record(moment: datetime, text: str) -> logging.LogRecord:
    made = logging.LogRecord("services", logging.INFO, __file__, 1, text, (), None)
    made.created = moment.timestamp()
    return made


def test_files_turn_at_midnight_and_old_ones_go(tmp_path: Path) -> None:
    handler = DailyFile(tmp_path, "web", days=2)
    for day in (1, 2, 3, 5):
        handler.emit(record(datetime(2026, 11, day, 12, tzinfo=UTC), f"day {day}"))
    handler.close()
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "web-2026-11-03.1.log",
        "web-2026-11-05.1.log",
    ]
    assert (tmp_path / "web-2026-11-05.1.log").stat().st_mode & 0o777 == 0o600


def test_a_shouting_process_cannot_fill_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_setup, "_BYTES", 1000)
    handler = DailyFile(tmp_path, "web", days=2)
    for _ in range(1000):
        handler.emit(record(datetime(2026, 11, 5, tzinfo=UTC), "x" * 99))
    handler.close()
    assert len(list(tmp_path.iterdir())) == 8
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) < 10_000
