"""Flattrade: a Noren house of the older kind, whose every call carries the token in a form body."""

from collections.abc import Mapping

from broker import catalog
from broker.families.noren import EVERY_ROUTE, NorenBroker
from broker.families.noren.login import token_by_json
from broker.flattrade import instruments
from broker.interface import Tokens
from domain.clock import Clock


class Flattrade(NorenBroker):
    manifest = catalog.manifest("flattrade")
    keyed_routes = EVERY_ROUTE
    client_id_name = "app_key"
    pnl_from_positions = True
    master_files = instruments.FILES
    masters = instruments

    @classmethod
    def log_in(cls, values: Mapping[str, str], urls: Mapping[str, str], clock: Clock) -> Tokens:
        return token_by_json(cls.manifest, values, urls.get("auth") or cls.manifest.urls["auth"], clock)


BROKER = Flattrade
