"""The capability table and its page say what the manifests say, now."""

from __future__ import annotations

import subprocess
import sys

from broker import capabilities, catalog
from broker.__main__ import PAGE


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text(encoding="utf-8") == capabilities.page(), "run: python -m broker --write"


def test_the_table_has_every_broker_once() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "broker"], capture_output=True, text=True, cwd=PAGE.parent.parent, check=True
    )
    first = [line.split()[0] for line in done.stdout.splitlines()]
    assert first == ["broker", *catalog.names()]


def test_a_library_that_was_not_run_is_called_unproven() -> None:
    for name in catalog.names():
        sdk = catalog.manifest(name).sdk
        if sdk.name and not sdk.ran:
            assert f"{sdk.name} {sdk.version} | UNPROVEN" in capabilities.page()
