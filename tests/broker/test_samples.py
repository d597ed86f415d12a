"""Every sample of tests/samples: the exact request that a call makes, the exact records that an envelope means."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from broker import catalog
from tests.samples import harness


def _named(path: Path) -> str:
    return f"{path.parent.name}/{path.stem}"


@pytest.mark.parametrize("path", harness.samples(), ids=_named)
def test_the_sample_holds(path: Path) -> None:
    captured = json.loads(path.read_text()).get("captured")
    if captured is not None and not (harness.SHARED / captured).exists():
        pytest.skip(f"needs ../shared/data/{captured}")
    sample, requests, result = harness.run(path)
    if "requests" in sample:
        assert requests == sample["requests"]
    if "expect" in sample:
        assert result == sample["expect"]


@pytest.mark.parametrize("path", harness.samples(), ids=_named)
def test_a_sample_says_where_it_is_from(path: Path) -> None:
    sample = json.loads(path.read_text())
    assert sample["source"] and len(sample["date"]) == 10


def test_every_broker_over_http_has_samples_of_its_calls() -> None:
    """A family's member shares its family's samples; it needs some of its own only where it differs."""
    for name in catalog.names():
        manifest = catalog.manifest(name)
        if manifest.login.kind != "none":
            homes = [
                name,
                *(m for m in catalog.names() if manifest.family == catalog.manifest(m).family != ""),
            ]
            assert any((harness.FOLDER / home / "_session.json").exists() for home in homes), name
