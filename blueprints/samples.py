"""Example requests for the API's endpoints, and the program text that sends one. Pure."""

from __future__ import annotations

import json
import pprint
import shlex
from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any
from urllib.parse import quote, urlencode

from domain.model import Instrument

_LINE = 72
KEY_HERE = "YOUR_API_KEY"

Json = dict[str, Any]

_VALUES: dict[str, Any] = {
    "strategy": "Playground",
    "symbol": "RELIANCE",
    "exchange": "NSE",
    "action": "BUY",
    "quantity": "1",
    "pricetype": "MARKET",
    "product": "MIS",
    "price": "0",
    "trigger_price": "0",
    "disclosed_quantity": "0",
    "position_size": "0",
    "splitsize": "10",
    "orderid": "ORDER ID",
    "trigger_id": "TRIGGER ID",
    "trigger_type": "SINGLE",
    "strategy_id": "STRATEGY ID",
    "interval": "5m",
    "query": "nifty fut",
    "instrumenttype": "options",
    "underlying": "NIFTY",
    "offset": "ATM",
    "option_type": "CE",
    "mode": True,
}
FIRST_ORDER = {
    "strategy": "First",
    "symbol": "RELIANCE",
    "exchange": "NSE",
    "action": "BUY",
    "product": "MIS",
    "pricetype": "MARKET",
    "quantity": "1",
}
_ALSO = frozenset({"quantity", "pricetype", "expiry_date", "strike_count"})
_BY_ENDPOINT: dict[str, Json] = {
    "post /killswitch": {"action": "status"},
    "post /expiry": {"symbol": "NIFTY", "exchange": "NFO"},
    "post /optionchain": {"exchange": "NSE_INDEX", "strike_count": 5},
    "post /optionsymbol": {"exchange": "NSE_INDEX"},
    "post /syntheticfuture": {"exchange": "NSE_INDEX"},
    "post /optionsorder": {"exchange": "NSE_INDEX"},
    "post /optionsmultiorder": {"exchange": "NSE_INDEX"},
    "post /placegttorder": {
        "product": "CNC",
        "pricetype": "LIMIT",
        "price": "1300",
        "triggerprice_sl": "1300",
    },
    "post /modifygttorder": {
        "product": "CNC",
        "pricetype": "LIMIT",
        "price": "1290",
        "triggerprice_sl": "1290",
    },
    "get /ticker/{symbol}": {"symbol": "NSE:RELIANCE"},
    "post /splitorder": {"quantity": "25"},
    "post /chart": {"theme": "dark"},
    "get /instruments": {"exchange": "NSE_INDEX"},
}


def example(document: Json, method: str, path: str, today: date, option: Instrument | None = None) -> Json:
    """A request that an endpoint of the OpenAPI `document` takes, without its key. `option` is one that is listed."""
    dates = {"start_date": today - timedelta(days=5), "end_date": today, "date": today}
    values = _VALUES | {name: day.isoformat() for name, day in dates.items()}
    values |= {"from": values["start_date"], "to": values["end_date"], "year": today.year}
    if option is not None and option.expiry is not None:
        values |= {"expiry_date": option.expiry.strftime("%d%b%y").upper()}
    operation = document["paths"][path][method]
    schema = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema")
    if schema is not None:
        made = _filled(document, schema, values)
    else:
        asked = [one["name"] for one in operation.get("parameters", ()) if one.get("required")]
        made = {name: values.get(name, "") for name in asked}
    made.pop("apikey", None)
    made |= _BY_ENDPOINT.get(f"{method} {path}", {})
    return made if option is None else _with_option(made, path, option)


def _with_option(made: Json, path: str, option: Instrument) -> Json:
    """The parts that only fit a real option: its symbol, its lot."""
    lot, one = str(option.lot_size), {"symbol": option.symbol, "exchange": option.exchange.value}
    if path == "/optionsorder":
        return made | {"quantity": lot}
    if path == "/optionsmultiorder":
        return made | {"legs": [leg | {"quantity": lot} for leg in made["legs"]]}
    if path == "/optiongreeks":
        return made | one
    return made | {"symbols": [one]} if path == "/multioptiongreeks" else made


def _filled(document: Json, schema: Json, values: Mapping[str, Any]) -> Json:
    if "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    required = set(schema.get("required", ()))
    made: Json = {}
    for name, shape in schema.get("properties", {}).items():
        if name not in required and not (name in _ALSO and name in values):
            continue
        if shape.get("type") == "array":
            made[name] = [_filled(document, shape["items"], values)]
        else:
            made[name] = values.get(name, shape.get("example", ""))
    return made


# -- programs
def programs(server: str, method: str, path: str, body: Json) -> list[tuple[str, str, str]]:
    """(id, language, text) of programs that send the request; the key is for the reader to put in."""
    path, rest = _placed(path, body)
    url = f"{server}/api/v1{path}"
    keyed = {"apikey": KEY_HERE} | {name: value for name, value in rest.items() if name != "apikey"}
    if method == "get":
        url = f"{url}?{urlencode(keyed)}"
    return [
        ("python", "Python", _python(url, method, keyed)),
        ("curl", "cURL", _curl(url, method, keyed)),
        ("javascript", "JavaScript", _javascript(url, method, keyed)),
    ]


def _placed(path: str, body: Json) -> tuple[str, Json]:
    """The path with its variables filled from the body, and what is left of the body."""
    rest = dict(body)
    for name in list(rest):
        if f"{{{name}}}" in path:
            path = path.replace(f"{{{name}}}", quote(str(rest.pop(name)), safe=":"))
    return path, rest


def _python(url: str, method: str, body: Json) -> str:
    if method == "get":
        call = f'requests.get(\n    "{url}",\n    timeout=30,\n)'
    else:
        literal = _literal(body)
        call = f'requests.post(\n    "{url}",\n    json={literal},\n    timeout=30,\n)'
    return f"import requests\n\nanswer = {call}\nprint(answer.status_code, answer.json())\n"


def _literal(body: Json) -> str:
    """The body as Python writes it: on one line where it fits, else a line for each name."""
    line = repr(body)
    if len(line) <= _LINE:
        return line
    rows = [pprint.pformat(value, sort_dicts=False, width=_LINE) for value in body.values()]
    inside = [
        f"        {name!r}: " + row.replace("\n", "\n        ") for name, row in zip(body, rows, strict=True)
    ]
    return "{\n" + ",\n".join(inside) + ",\n    }"


def _curl(url: str, method: str, body: Json) -> str:
    if method == "get":
        return f"curl -s {shlex.quote(url)}\n"
    data = shlex.quote(json.dumps(body, indent=2, ensure_ascii=False))
    return f"curl -s {shlex.quote(url)} \\\n  -H 'Content-Type: application/json' \\\n  -d {data}\n"


def _javascript(url: str, method: str, body: Json) -> str:
    where = json.dumps(url)
    if method == "get":
        call = f"fetch({where})"
    else:
        data = json.dumps(body, indent=2, ensure_ascii=False).replace("\n", "\n  ")
        headers = '{ "Content-Type": "application/json" }'
        call = f'fetch({where}, {{\n  method: "POST",\n  headers: {headers},\n  body: JSON.stringify({data}),\n}})'
    return f"const answer = await {call};\nconsole.log(answer.status, await answer.json());\n"
