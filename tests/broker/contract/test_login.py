"""Login: every way in, what a refused one says, and what the end of a session looks like."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from urllib.parse import parse_qs, urlsplit

import pytest
import requests

from domain.errors import BrokerError, LoginFailed, NotSupported, SessionOver
from domain.outcomes import Accepted, SessionExpired
from tests.broker.contract.world import World

pytestmark = pytest.mark.usefixtures("wire")


def test_the_form_has_every_field_that_the_login_needs(world: World) -> None:
    login = world.manifest.login
    names = {field.name for field in (*login.fields, *login.ask)}
    assert names <= set(world.simulator.credentials)
    assert login.kind != "none" and all(field.label for field in login.fields)
    secrets = {field.name for field in (*login.fields, *login.ask) if field.secret}
    assert any("secret" in name or "password" in name for name in secrets)


def test_a_session_works_and_knows_its_user(world: World) -> None:
    assert world.tokens.user_id == world.simulator.user
    assert world.broker.fetch_funds().available > 0


def test_a_daily_session_says_when_it_ends(world: World) -> None:
    if not world.manifest.login.expires_at:
        pytest.skip("sessions do not end daily")
    assert world.tokens.expires_at is not None
    assert 0 < (world.tokens.expires_at - world.clock.now()).total_seconds() <= 86400


def test_the_login_page_returns_with_a_code_that_opens_a_session(world: World) -> None:
    page = world.cls.login_page(world.simulator.credentials, world.simulator.urls, "state-123")
    if world.manifest.login.kind not in ("redirect", "oauth"):
        assert page == ""
        return
    answer = requests.get(page, allow_redirects=False, timeout=5)
    assert answer.status_code == 302
    back = urlsplit(answer.headers["Location"])
    returned = {name: values[0] for name, values in parse_qs(back.query).items()}
    name = next(name for name in world.manifest.login.callback if name in returned)
    asked = world.manifest.login.ask[0].name
    tokens = world.log_in(**{asked: returned[name]})
    assert tokens.values != world.tokens.values
    assert world.connect(tokens).fetch_orders() == []


def test_a_wrong_secret_is_refused_with_words(world: World) -> None:
    secret = next(field.name for field in world.manifest.login.fields if field.secret)
    with pytest.raises(LoginFailed) as refused:
        world.log_in(**{secret: "not the secret"})
    assert str(refused.value)
    assert "not the secret" not in str(refused.value)


def test_a_login_without_its_answer_says_what_is_missing(world: World) -> None:
    for field in world.manifest.login.ask:
        with pytest.raises(LoginFailed, match=field.label):
            world.log_in(**{field.name: ""})
    assert world.sent("login") == 0


def test_the_code_is_taken_under_every_name_the_redirect_may_use(world: World) -> None:
    login = world.manifest.login
    for name in login.callback:
        code = world.simulator.call(world.simulator.new_code)
        tokens = world.log_in(**{login.ask[0].name: "", name: code})
        assert tokens.user_id == world.simulator.user


def test_an_unreadable_login_answer_is_a_failed_login(world: World) -> None:
    world.simulator.fail_next("html", match="login")
    with pytest.raises(LoginFailed):
        world.log_in()


def test_an_ended_session_is_told_apart_from_every_other_failure(world: World) -> None:
    world.simulator.expire_tokens()
    assert isinstance(world.broker.place(world.request()), SessionExpired)
    with pytest.raises(SessionOver):
        world.broker.fetch_orders()
    assert world.taken() == []


def test_logging_out_ends_the_session(world: World) -> None:
    world.broker.log_out()
    world.broker.log_out()
    if not world.simulator.tokens:
        with pytest.raises(SessionOver):
            world.broker.fetch_orders()


def test_market_data_with_a_session_of_its_own_is_logged_in_again_once(world: World) -> None:
    """Whoever asks at that moment waits for the one login; orders never notice."""
    if not world.manifest.login.data_session:
        with pytest.raises(NotSupported):
            world.cls.log_in_data(world.simulator.credentials, world.simulator.urls, world.clock)
        return
    over: list[str] = []
    world.broker.on_over = lambda: over.append("over")
    world.simulator.expire_tokens("market")
    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(lambda _: world.broker.fetch_quotes([world.instrument()]), range(8)))
    assert all(quotes[0] is not None and quotes[0].last_price > 0 for quotes in found)
    assert world.sent("login") == 1
    assert world.broker.fetch_depth(world.instrument()).bids
    assert world.sent("login") == 1 and not over
    assert isinstance(world.broker.place(world.request()), Accepted)


def test_market_data_refused_again_is_not_logged_in_again(world: World) -> None:
    if not world.manifest.login.data_session:
        pytest.skip("one session for all")
    world.simulator.faults([{"match": "quotes", "action": "expired"}])
    with pytest.raises(BrokerError, match="market data session has ended"):
        world.broker.fetch_quotes([world.instrument()])
    assert world.sent("login") == 1 and world.sent("quotes") == 2


def test_market_data_that_nobody_logs_in_again_says_so_and_leaves_orders_alone(world: World) -> None:
    if not world.manifest.login.data_session:
        pytest.skip("one session for all")
    world.broker.renew_data = lambda refused: None
    world.simulator.expire_tokens("market")
    with pytest.raises(BrokerError, match="market data session has ended"):
        world.broker.fetch_quotes([world.instrument()])
    assert world.sent("login") == 0
    assert isinstance(world.broker.place(world.request()), Accepted)
