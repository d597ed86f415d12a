"""Which simulator face speaks for which broker: its own, else its family's. Imported when asked for."""

from __future__ import annotations

import importlib

from broker import catalog
from tests.simulators.server import Simulator

_FACES = {
    "zerodha": "tests.simulators.kite:KiteSimulator",
    "noren": "tests.simulators.noren:NorenSimulator",
    "paper": "tests.simulators.paper:PaperSimulator",
    "xts": "tests.simulators.xts:XtsSimulator",
}


def names() -> list[str]:
    """The brokers that the contract suite can be run over."""
    return [name for name in catalog.names() if _face(name) is not None]


def spoken() -> list[str]:
    """Those whose servers can be rehearsed against: they have a wire of their own."""
    return [name for name in names() if catalog.manifest(name).urls]


def simulator(name: str, seed: int = 0) -> Simulator:
    """A simulator of one broker, not started. Raises KeyError when there is none."""
    face = _face(name)
    if face is None:
        raise KeyError(name)
    module, _, cls = face.partition(":")
    made: Simulator = getattr(importlib.import_module(module), cls)(name, seed)
    return made


def _face(name: str) -> str | None:
    return _FACES.get(name) or _FACES.get(catalog.manifest(name).family)
