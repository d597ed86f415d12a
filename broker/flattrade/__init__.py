"""Flattrade: a Noren house of the older kind, whose every call carries the token in a form body."""

import json
from collections.abc import Mapping

from broker import catalog
from broker.families.noren import EVERY_ROUTE, NorenBroker
from broker.families.noren.login import checksum, read_tokens
from broker.flattrade import instruments
from broker.http import Call
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
        """A JSON call at an address of its own, the secret inside a checksum. https://pi.flattrade.in/docs"""
        key, code = values["api_key"], values["code"]
        asked = {
            "api_key": key,
            "request_code": code,
            "api_secret": checksum(key, code, values["api_secret"]),
        }
        call = Call(
            op="login",
            method="POST",
            url=urls.get("auth") or cls.manifest.urls["auth"],
            headers={"Content-Type": "application/json"},
            body=json.dumps(asked).encode(),
        )
        return read_tokens(cls.manifest, values, call, clock)


BROKER = Flattrade
