"""Random requests made from the API's own description never find a 5xx or an answer that it does not describe."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from schemathesis.checks import CHECKS, load_all_checks
from schemathesis.generation import GenerationMode

from restx_api.api import ENDPOINTS
from tests.restx_api.options_desk import OptionsDesk

load_all_checks()
_LEFT_OUT = {
    "positive_data_acceptance",  # an unknown symbol is a 400 by contract, though it is spelt as described
    "ignored_auth",  # the key travels in the body
}
CHECKED = [check for check in CHECKS.get_all() if check.__name__ not in _LEFT_OUT]
BUILT = [(endpoint.method, endpoint.path) for endpoint in ENDPOINTS if endpoint.built]


@pytest.fixture(scope="module")
def fuzzed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OptionsDesk]:
    made = OptionsDesk(tmp_path_factory.mktemp("fuzzed"))
    yield made
    made.close()


def explore(desk: OptionsDesk, method: str, path: str, examples: int) -> None:
    """Ask one endpoint for good and for malformed things, with a good key wherever a key is given."""
    described = schemathesis.openapi.from_wsgi(
        "/api/v1/swagger.json", desk.app, headers={"X-API-KEY": desk.key}
    )
    operation = described[path.replace("<symbol>", "{symbol}")][method]

    def ask(case: Any) -> None:
        for part in (case.body, case.query):
            given_key = part.get("apikey") if isinstance(part, dict) else None
            if isinstance(given_key, str) and 1 <= len(given_key) <= 256 and "\x00" not in given_key:
                part["apikey"] = desk.key
        answer = case.call()
        case.validate_response(answer, checks=CHECKED)

    drawn = random.SystemRandom().randrange(2**32)
    print(f"seed {drawn}")
    for mode in GenerationMode:
        cases = operation.as_strategy(generation_mode=mode)
        tried = settings(
            max_examples=examples,
            deadline=None,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        seed(drawn)(tried(given(cases)(ask)))()


@pytest.mark.parametrize(("method", "path"), BUILT, ids=lambda part: part)
def test_no_request_finds_an_undescribed_answer(fuzzed: OptionsDesk, method: str, path: str) -> None:
    explore(fuzzed, method, path, 5)


@pytest.mark.campaign
@pytest.mark.timeout(1200)
@pytest.mark.parametrize(("method", "path"), BUILT, ids=lambda part: part)
def test_two_hundred_requests_an_endpoint(fuzzed: OptionsDesk, method: str, path: str) -> None:
    explore(fuzzed, method, path, 200)
