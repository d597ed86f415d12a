"""Which brokers there are and what their manifests say, for pages that list them and draw their login forms."""

from __future__ import annotations

from broker import catalog
from broker.manifest import LoginField, Manifest
from domain.errors import NotFound

__all__ = ["LoginField", "Manifest", "listed", "manifest_of"]


def listed() -> list[Manifest]:
    """Every broker an account can be opened with, by title; the paper exchange first."""
    manifests = [catalog.manifest(name) for name in catalog.names()]
    return sorted(manifests, key=lambda one: (one.login.kind != "none", one.title.casefold()))


def manifest_of(name: str) -> Manifest:
    """Raises NotFound."""
    try:
        return catalog.manifest(name)
    except KeyError as error:
        raise NotFound(f"There is no broker named {name}.") from error
