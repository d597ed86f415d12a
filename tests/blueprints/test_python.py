"""Strategy pages and their JSON routes, over the real platform without a worker."""

import io
import json
import re
from datetime import timedelta
from typing import Any

import pytest

from database import strategy_alerts as alert_rows
from domain.strategies import Alert, StrategyState
from strategies import sandbox
from tests.blueprints.stage import NOON, PASSWORD, Stage, Visitor

CODE = b'print("hello")\n'


@pytest.fixture(autouse=True)
def on_a_trading_day(stage: Stage) -> None:
    """The stage's own day is a holiday."""
    stage.clock.at += timedelta(days=1)


def upload(owner: Visitor, name: str = "First", code: bytes = CODE, **fields: Any) -> str:
    data = {"strategy_name": name, "strategy_file": (io.BytesIO(code), "first.py"), **fields}
    answer = owner.post("/python/new", data=data)
    assert answer.status_code == 200, answer.text
    found: str = answer.get_json()["data"]["strategy_id"]
    return found


def as_json(owner: Visitor, path: str, body: dict[str, Any]) -> Any:
    headers = {"X-CSRFToken": owner.token()}
    return owner.client.post(path, json=body, headers=headers)


PAGES = (
    *("", "/edit", "/runs", "/orders", "/schedule", "/settings", "/environment", "/head"),
    *("/search?q=x", "/versions/1", "/tail"),
)


@pytest.mark.parametrize("page", PAGES)
def test_every_page_of_a_strategy_draws(owner: Visitor, page: str) -> None:
    assert owner.get(f"/python/{upload(owner)}{page}").status_code == 200


@pytest.mark.parametrize("page", ["", "new", "guide", "cards"])
def test_pages_draw_for_a_newcomer(owner: Visitor, page: str) -> None:
    assert owner.get(f"/python/{page}").status_code == 200


def test_an_upload_is_listed_in_the_old_names(owner: Visitor) -> None:
    strategy_id = upload(owner, exchange="NFO", schedule_start="09:20", schedule_days='["mon"]')
    (row,) = owner.get("/python/api/strategies").get_json()["strategies"]
    assert strategy_id.startswith("first_")
    assert (row["id"], row["name"], row["exchange"]) == (strategy_id, "First", "NFO")
    assert (row["status"], row["is_running"], row["process_id"]) == ("scheduled", False, None)
    assert (row["schedule_start_time"], row["schedule_days"]) == ("09:20", ["mon"])
    assert owner.get("/python/status").get_json()["total"] == 1


@pytest.mark.parametrize(
    ("name", "code", "words"),
    [
        ("x.exe", CODE, "Python file"),
        ("x.py", b"", "empty"),
        ("x.py", b"def f(:\n", "line 1"),
        ("x.py", b"\xff\xfe", "UTF-8"),
        ("x.zip", b"no zip", "cannot be read"),
    ],
)
def test_a_bad_upload_is_explained(owner: Visitor, name: str, code: bytes, words: str) -> None:
    data = {"strategy_name": "Bad", "strategy_file": (io.BytesIO(code), name)}
    answer = owner.post("/python/new", data=data)
    assert answer.status_code == 400
    assert words in answer.get_json()["message"]
    data = {"strategy_name": "Bad", "strategy_file": (io.BytesIO(code), name)}
    page = owner.post("/python/upload", data=data)
    assert page.status_code == 400 and words in page.text


def test_an_upload_that_is_too_large_is_refused_unread(owner: Visitor) -> None:
    data = {"strategy_name": "Big", "strategy_file": (io.BytesIO(b"#" * (11 << 20)), "x.py")}
    assert owner.post("/python/new", data=data).status_code == 413


@pytest.mark.parametrize("path", ["/python/new", "/python/upload"])
def test_a_gigabyte_is_refused_by_its_announced_length(owner: Visitor, path: str) -> None:
    class Endless(io.RawIOBase):
        read_bytes = 0

        def readable(self) -> bool:
            return True

        def readinto(self, buffer: Any) -> int:
            Endless.read_bytes += len(buffer)
            return len(buffer)

    answer = owner.client.post(
        path,
        environ_overrides={"wsgi.input": Endless(), "CONTENT_LENGTH": str(1 << 30)},
        content_type="multipart/form-data; boundary=x",
        headers={"X-CSRFToken": owner.token()},
    )
    assert answer.status_code == 413
    assert Endless.read_bytes < 1 << 20


def test_start_inside_its_window_is_wanted_and_outside_is_armed(stage: Stage, owner: Visitor) -> None:
    strategy_id = upload(owner)
    assert owner.post(f"/python/start/{strategy_id}").get_json()["message"] == "Strategy started"
    early = upload(owner, name="Early", schedule_start="09:00", schedule_stop="10:00")
    armed = owner.post(f"/python/start/{early}").get_json()["data"]
    assert armed["armed"] and armed["reason"] == "after_market"
    assert armed["next_start"] == "2026-11-26 09:15:00"


def test_a_manual_stop_holds_until_start(owner: Visitor) -> None:
    strategy_id = upload(owner)
    assert owner.post(f"/python/stop/{strategy_id}").get_json()["message"] == "Scheduled start cancelled"
    row = owner.get(f"/python/api/strategy/{strategy_id}").get_json()["strategy"]
    assert (row["status"], row["manually_stopped"]) == ("manually_stopped", True)
    owner.post(f"/python/start/{strategy_id}")
    row = owner.get(f"/python/api/strategy/{strategy_id}").get_json()["strategy"]
    assert row["manually_stopped"] is False


def test_code_is_saved_as_a_version_compared_and_brought_back(owner: Visitor) -> None:
    strategy_id = upload(owner)
    saved = as_json(owner, f"/python/save/{strategy_id}", {"content": 'print("changed")\n'})
    assert saved.get_json()["version"] == 2
    content = owner.get(f"/python/api/strategy/{strategy_id}/content").get_json()
    assert content["content"] == 'print("changed")\n'
    page = owner.get(f"/python/{strategy_id}/versions/1").text
    assert "-print(&#34;hello&#34;)" in page and "+print(&#34;changed&#34;)" in page
    owner.post(f"/python/{strategy_id}/versions/1")
    assert owner.get(f"/python/export/{strategy_id}").data == CODE
    broken = as_json(owner, f"/python/save/{strategy_id}", {"content": "def ("})
    assert broken.status_code == 400 and "line 1" in broken.get_json()["message"]


def test_a_file_is_uploaded_as_a_new_version(owner: Visitor) -> None:
    """A list of packages is added to a strategy of one file; what is refused leaves the version as it was."""
    strategy_id = upload(owner)
    path = f"/python/{strategy_id}/renew"
    assert path in owner.get(f"/python/{strategy_id}/edit").text
    listed = (io.BytesIO(b"requests==2.32.3\n"), "requirements.txt")
    assert owner.post(path, strategy_file=listed).status_code == 303
    assert "requirements.txt" in owner.get(f"/python/{strategy_id}/edit").text
    for file in ((io.BytesIO(b"def ("), "new.py"), (io.BytesIO(b""), "")):
        assert owner.post(path, strategy_file=file).status_code == 400
    newer = owner.post(path, strategy_file=(io.BytesIO(b'print("v3")\n'), "new.py"))
    assert newer.status_code == 303
    content = owner.get(f"/python/api/strategy/{strategy_id}/content").get_json()
    assert (content["content"], content["version"]) == ('print("v3")\n', 3)


def test_a_schedule_is_changed_by_json_and_by_the_form(owner: Visitor) -> None:
    strategy_id = upload(owner)
    body = {"start_time": "10:00", "stop_time": "11:00", "days": ["Tuesday"]}
    assert as_json(owner, f"/python/schedule/{strategy_id}", body).status_code == 200
    row = owner.get(f"/python/api/strategy/{strategy_id}").get_json()["strategy"]
    assert (row["schedule_stop_time"], row["schedule_days"]) == ("11:00", ["tue"])
    bad = as_json(owner, f"/python/schedule/{strategy_id}", {"start_time": "25:00"})
    assert bad.status_code == 400
    form = {"kind": "windows", "exchange": "MCX", "start": ["open-5m", "17:00"], "stop": ["12:00", "close"]}
    assert owner.post(f"/python/{strategy_id}/schedule", data=form).status_code == 303
    assert "open-5m to 12:00 and 17:00 to close" in owner.get(f"/python/{strategy_id}/schedule").text
    assert as_json(owner, f"/python/unschedule/{strategy_id}", {}).status_code == 400


def test_what_runs_cannot_be_changed(stage: Stage, owner: Visitor) -> None:
    strategy_id = upload(owner)
    from database import strategies as rows

    stage.platform.databases["platform"].write(
        lambda c: rows.change(c, strategy_id, state=StrategyState.RUNNING)
    )
    for path, body in (("save", {"content": "1\n"}), ("schedule", {"start_time": "10:00"}), ("start", {})):
        answer = as_json(owner, f"/python/{path}/{strategy_id}", body)
        assert answer.status_code == 400
        assert answer.get_json()["error_code"] == "STRATEGY_RUNNING"
    assert as_json(owner, f"/python/logs/{strategy_id}/clear", {}).status_code == 400


def test_a_secret_is_never_shown_again(owner: Visitor) -> None:
    strategy_id = upload(owner)
    path = f"/python/{strategy_id}/environment"
    assert owner.post(path, name="TOKEN", value="canary-4711", secret="1").status_code == 303
    assert owner.post(path, name="LOTS", value="2").status_code == 303
    page = owner.get(path).text
    assert "TOKEN" in page and "LOTS" in page and "canary-4711" not in page
    for name in ("LD_PRELOAD", "PYTHONPATH", "OPENALGO_API_KEY", "1X"):
        assert owner.post(path, name=name, value="x").status_code == 400
    copy = owner.post(f"/python/{strategy_id}/copy", name="Second").location
    assert "LOTS" in owner.get(copy).text and "TOKEN" not in owner.get(copy).text.split("Given by")[0]


def test_another_persons_strategy_is_not_there(stage: Stage, owner: Visitor) -> None:
    strategy_id = upload(owner)
    other = stage.owner("ravi")
    for path in ("", "/edit", "/settings"):
        assert other.get(f"/python/{strategy_id}{path}").status_code == 404
    for path in (f"api/strategy/{strategy_id}", f"api/logs/{strategy_id}", f"export/{strategy_id}"):
        assert other.get(f"/python/{path}").status_code == 404
    for path in ("start", "stop", "delete", "save", "clear-error"):
        assert as_json(other, f"/python/{path}/{strategy_id}", {"content": "1"}).status_code == 404
    assert other.get("/python/api/strategies").get_json()["strategies"] == []


def test_strangers_are_sent_to_sign_in(stage: Stage, owner: Visitor) -> None:
    stranger = stage.visitor()
    assert stranger.get("/python/").status_code == 303
    assert stranger.get("/python/api/strategies").status_code == 303


def test_a_log_is_read_from_where_one_was_and_never_elsewhere(stage: Stage, owner: Visitor) -> None:
    strategy_id = upload(owner)
    folder = stage.platform.settings.data_dir / "strategies" / strategy_id / "logs"
    (folder / "a.log").write_text("one\ntwo\n")
    (folder.parent / "secret.log").write_text("canary")
    listed = owner.get(f"/python/api/logs/{strategy_id}").get_json()["logs"]
    assert [each["name"] for each in listed] == ["a.log"]
    content = owner.get(f"/python/api/logs/{strategy_id}/a.log?after=4").get_json()
    assert (content["content"], content["end"]) == ("two\n", 8)
    tail = owner.get(f"/python/{strategy_id}/tail?name=a.log&after=0").get_json()
    assert tail["text"] == "one\ntwo\n"
    assert "two" in owner.get(f"/python/{strategy_id}/search?q=TWO").text
    for name in ("..%2fsecret.log", "%2e%2e/secret.log", "a.log%00", "work"):
        answer = owner.get(f"/python/api/logs/{strategy_id}/{name}")
        assert answer.status_code == 404 and "canary" not in answer.text


def test_events_tell_each_strategys_state(owner: Visitor) -> None:
    strategy_id = upload(owner)
    answer = owner.get("/python/api/events")
    assert answer.mimetype == "text/event-stream"
    (line,) = [line for line in answer.text.splitlines() if line.startswith("data: ")]
    event = json.loads(line[6:])
    assert (event["strategy_id"], event["status"]) == (strategy_id, "scheduled")


def test_an_example_becomes_ones_own(owner: Visitor) -> None:
    assert owner.post("/python/examples/moving_average").status_code == 303
    (row,) = owner.get("/python/api/strategies").get_json()["strategies"]
    assert row["name"] == "Moving average"
    assert owner.post("/python/examples/..").status_code == 404


def test_deleting_asks_for_the_password(owner: Visitor) -> None:
    strategy_id = upload(owner)
    assert owner.post(f"/python/{strategy_id}/delete", password="wrong").status_code == 403
    assert owner.post(f"/python/{strategy_id}/delete", password=PASSWORD).status_code == 303
    assert owner.get(f"/python/{strategy_id}").status_code == 404


def test_settings_are_kept_and_bounds_are_named(owner: Visitor) -> None:
    strategy_id = upload(owner)
    path = f"/python/{strategy_id}/settings"
    assert owner.post(path, name="Renamed", memory_mb="256", restart="never").status_code == 303
    assert "Renamed" in owner.get(path).text and 'value="256"' in owner.get(path).text
    wrong = owner.post(path, name="Renamed", memory_mb="1")
    assert wrong.status_code == 400 and "32 to 65536" in wrong.text


def test_exchanges_are_told_with_todays_hours(owner: Visitor) -> None:
    body = owner.get("/python/api/exchanges").get_json()
    rows = {each["value"]: each for each in body["exchanges"]}
    assert body["default"] == "NSE" and set(rows) >= {"NSE", "MCX", "CRYPTO"}
    assert rows["NSE"]["start_time"] == "09:15" and rows["CRYPTO"]["is_24x7"]


def test_alerts_are_told_on_every_page_until_seen(stage: Stage, owner: Visitor) -> None:
    strategy_id = upload(owner)
    store, user = stage.platform.databases["platform"], stage.platform.accounts.user_named("asha")
    alert = Alert(
        id=0,
        strategy_id=strategy_id,
        name="<b>First</b>",
        at=stage.clock.now(),
        kind="failed",
        reason="crash loop: 5 ends in 10 min, last exited 1",
        tail="before\nValueError: boom",
    )
    added = store.write(lambda c: alert_rows.add(c, user.id, alert))
    assert "1 alert of your strategies" in owner.get("/dashboard").text
    page = owner.get("/python/alerts").text
    assert "crash loop" in page and "ValueError: boom" in page and "<b>First</b>" not in page
    news = owner.get("/python/alerts/news?after=0")
    assert "stopped working" in news.text and news.headers["X-Newest"] == str(added)
    assert "crash loop" not in owner.get(f"/python/alerts/news?after={added}").text
    (row,) = owner.get("/python/api/alerts").get_json()["alerts"]
    assert (row["kind"], row["seen"], row["last_lines"]) == ("failed", False, ["before", "ValueError: boom"])
    other = stage.owner("ravi")
    assert other.get("/python/api/alerts").get_json()["alerts"] == []
    assert owner.post("/python/alerts/seen").status_code == 303
    assert "of your strategies" not in owner.get("/dashboard").text
    assert "crash loop" not in owner.get("/python/alerts/news?after=0").text


def test_an_alert_shows_on_the_list_and_leads_to_its_strategy(stage: Stage, owner: Visitor) -> None:
    """Also when the strategy runs again by now; until it was seen."""
    first, second = upload(owner), upload(owner, name="Second")
    assert 'href="/python/alerts"' in owner.get("/python/").text
    for kind, reason in (("crashed", "exit code 3"), ("failed", "five ends in ten minutes")):
        alert = Alert(id=0, strategy_id=first, name="First", at=NOON, kind=kind, reason=reason, tail="")
        stage.platform.databases["platform"].write(lambda c, alert=alert: alert_rows.add(c, 1, alert))
    for path in ("/python/", "/python/cards"):
        page = owner.get(path).text
        told = re.findall(r'href="/python/([^"]+)/runs"[^>]*>(.*?)</a>', page, re.S)
        assert [strategy_id for strategy_id, _ in told] == [first] and second in page
        assert "stopped working" in told[0][1] and "five ends in ten minutes" in told[0][1]
    assert re.search(r'href="/python/alerts"[^>]*>Alerts <span class="count">2<', owner.get("/python/").text)
    assert "changed:alert from:body" in owner.get("/python/").text
    owner.post("/python/alerts/seen")
    assert "/runs" not in owner.get("/python/").text


@pytest.mark.parametrize(("abi", "warns"), [(0, True), (6, False)])
def test_a_machine_that_does_not_shut_strategies_in_is_warned_of(
    owner: Visitor, monkeypatch: pytest.MonkeyPatch, abi: int, warns: bool
) -> None:
    """Where there is neither Landlock nor a user of its own; before an upload as well as after it."""
    monkeypatch.setattr(sandbox, "landlock_version", lambda: abi)
    assert "does not shut strategies in" not in owner.get("/dashboard").text, "nobody uploaded one"
    strategy = upload(owner)
    for path in ("/dashboard", "/python/", "/python/new", "/python/guide", f"/python/{strategy}/settings"):
        assert ("does not shut strategies in" in owner.get(path).text) is warns, path
    limits = owner.get(f"/python/{strategy}/settings").text
    assert (re.search(r"<dt[^>]*>Files</dt><dd><span class=.tag tag-warn", limits) is not None) is warns
    assert ("Landlock 6: only its own directory" in limits) is not warns


@pytest.mark.parametrize("kind", ["always", "manual", "windows"])
def test_an_upload_says_when_it_runs(stage: Stage, owner: Visitor, kind: str) -> None:
    """Around the clock without a stop time, too: crypto is never over."""
    assert f'<option value="{kind}"' in owner.get("/python/new").text
    form = {"kind": kind, "exchange": "CRYPTO", "start": "09:00", "stop": "16:00", "days": ["mon"]}
    file = (io.BytesIO(CODE), "first.py")
    answer = owner.post("/python/upload", data=form, strategy_name="Coins", strategy_file=file)
    assert answer.status_code == 303
    (made,) = stage.platform.strategy_host.listed(stage.accounts.caller_of_user(1))
    assert made.schedule.kind == kind and bool(made.schedule.windows) is (kind == "windows")
    assert made.next_stop is None


def test_an_alert_of_a_deleted_strategy_leads_nowhere(stage: Stage, owner: Visitor) -> None:
    alert = Alert(id=0, strategy_id="gone_1", name="Gone", at=NOON, kind="crashed", reason="x", tail="")
    stage.platform.databases["platform"].write(lambda c: alert_rows.add(c, 1, alert))
    page = owner.get("/python/alerts").text
    assert "Gone, deleted" in page and 'href="/python/gone_1' not in page
