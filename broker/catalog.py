"""Which brokers there are, what their manifests say, and the one dynamic import."""

from __future__ import annotations

import importlib
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from broker.manifest import Manifest, read_manifest

if TYPE_CHECKING:
    from broker.interface import Broker

_HERE = Path(__file__).parent


@cache
def names() -> tuple[str, ...]:
    """Every broker that has a manifest, in alphabetical order."""
    return tuple(sorted(path.parent.name for path in _HERE.glob("*/manifest.toml")))


@cache
def manifest(name: str) -> Manifest:
    """The facts of one broker. Raises KeyError for a name that `names()` does not list."""
    if name not in names():
        raise KeyError(name)
    return read_manifest(_HERE / name / "manifest.toml")


def load(name: str) -> type[Broker]:
    """Import a broker's package and return its class. Raises KeyError for an unknown name."""
    manifest(name)
    broker: type[Broker] = importlib.import_module(f"broker.{name}").BROKER
    return broker
