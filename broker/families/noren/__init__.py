"""The Noren OMS: `jData` bodies in, JSON text out, one JSON socket. Its houses differ in addresses and details."""

from broker.families.noren.client import EVERY_ROUTE, NorenBroker

__all__ = ["EVERY_ROUTE", "NorenBroker"]
