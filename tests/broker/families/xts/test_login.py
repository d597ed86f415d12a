"""XTS's logins: what a redirect carries in all its wrappings, and one market token at a time."""

from __future__ import annotations

import json
from collections.abc import Iterator
from urllib.parse import quote

import pytest

from domain.errors import LoginFailed
from tests.broker.contract.world import World


@pytest.fixture(params=["compositedge", "rmoney"])
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    made = World(request.param)
    yield made
    made.close()


@pytest.mark.parametrize("wrap", [str, quote, json.dumps, lambda text: quote(json.dumps(text)),
                                  lambda text: f"session={quote(text)}"])  # fmt: skip
def test_the_session_is_found_in_every_wrapping(world: World, wrap) -> None:  # type: ignore[no-untyped-def]
    code = world.simulator.call(world.simulator.new_code)
    assert world.log_in(code=wrap(code)).user_id == world.simulator.user


@pytest.mark.parametrize("told", ["{}", "[]", "null", "{", "%7B", '"x"', '{"accessToken": 5, "token": []}'])
def test_a_session_without_its_token_is_a_failed_login(world: World, told: str) -> None:
    with pytest.raises(LoginFailed, match=r"no (accessToken|token)"):
        world.log_in(code=told)
    assert world.sent("login") == 0


def test_a_used_access_token_opens_nothing_again() -> None:
    world = World("compositedge")
    try:
        with pytest.raises(LoginFailed, match="Invalid accessToken"):
            world.log_in()
    finally:
        world.close()


@pytest.mark.parametrize("broker", ["iifl", "compositedge", "rmoney"])
def test_a_dealers_login_is_refused_and_says_why(broker: str) -> None:
    world = World(broker)
    try:
        world.simulator.investor = False
        code = world.simulator.call(world.simulator.new_code)
        with pytest.raises(LoginFailed, match=r"dealer's login .* client"):
            world.log_in(code=code)
        assert not any("auth/login" in request.path for request in world.simulator.requests)
    finally:
        world.close()
