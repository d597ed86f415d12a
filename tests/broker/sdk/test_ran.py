"""docs/brokers.md says of a library that it ran only where it is run here."""

from __future__ import annotations

from broker import catalog
from tests.broker.sdk import test_norenapi, test_xts


def test_a_library_is_said_to_have_run_where_it_is_run() -> None:
    said = {name for name in catalog.names() if catalog.manifest(name).sdk.ran}
    assert said == {"zerodha", *test_norenapi.HOUSES, *test_xts.HOUSES}
