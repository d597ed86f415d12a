"""Noren's logins: the person who came back must be the one whom the account names."""

from __future__ import annotations

import pytest

from domain.errors import LoginFailed
from tests.broker.contract.world import World


@pytest.mark.parametrize("name", ["shoonya", "flattrade"])
def test_somebody_elses_login_is_not_taken(name: str) -> None:
    world = World(name)
    try:
        code = world.simulator.call(world.simulator.new_code)
        with pytest.raises(LoginFailed, match=f"as {world.simulator.user}, but this account is OTHER1"):
            world.log_in(user_id="OTHER1", code=code)
    finally:
        world.close()
