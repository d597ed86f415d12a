from __future__ import annotations

import re
from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.model import CASH, DERIVATIVES, QUOTE_ONLY, Exchange, InstrumentKind
from domain.symbols import (
    Contract,
    build,
    cash_symbol,
    clean_base,
    expiry_text,
    parse,
    parse_derivative,
    parse_expiry,
    parse_underlying,
    strike_text,
)

BASES = st.one_of(
    st.sampled_from(
        [
            "NIFTY",
            "NIFTYNXT50",
            "M&M",
            "BAJAJ-AUTO",
            "360ONE",
            "726GS2032",
            "USDINR",
            "SENSEX50",
            "A",
            "3M",
            "FUT",
        ]
    ),
    st.from_regex(r"[A-Z0-9][A-Z0-9&-]{0,14}", fullmatch=True),
    st.from_regex(r"[A-Z]{1,6}[0-9]{2}(JAN|MAY|DEC)[0-9]{2}[0-9]{0,3}", fullmatch=True),
)
EXPIRIES = st.dates(date(2000, 1, 1), date(2099, 12, 31))
STRIKES = st.one_of(
    st.integers(1, 10**6).map(Decimal),
    st.decimals("0.01", "200000", places=4).filter(lambda strike: strike > 0),
    st.integers(1, 10**7).map(lambda quarters: Decimal(quarters) / 4),
)
OPTION = st.sampled_from([InstrumentKind.CALL, InstrumentKind.PUT])


@given(BASES, EXPIRIES, STRIKES, OPTION)
def test_an_option_reads_back_as_itself(
    base: str, expiry: date, strike: Decimal, kind: InstrumentKind
) -> None:
    symbol = build(base, kind, expiry, strike)
    for exchange in DERIVATIVES:
        assert parse(symbol, exchange) == Contract(base, kind, expiry, strike)


@given(BASES, EXPIRIES)
def test_a_future_reads_back_as_itself(base: str, expiry: date) -> None:
    symbol = build(base, InstrumentKind.FUTURE, expiry)
    assert parse(symbol, Exchange.NFO) == Contract(base, InstrumentKind.FUTURE, expiry)
    assert parse_underlying(symbol) == (base, expiry)
    assert parse_underlying(symbol.removesuffix("FUT")) == (base, expiry)


@given(STRIKES)
def test_a_strike_has_one_shortest_text(strike: Decimal) -> None:
    text = strike_text(strike)
    assert Decimal(text) == strike
    assert re.fullmatch(r"(0|[1-9]\d*)(\.\d*[1-9])?", text)


@given(st.text(alphabet="ABCN&-019.25JANFUTCEPE", max_size=30))
def test_whatever_parses_is_spelt_as_it_would_be_built(text: str) -> None:
    contract = parse_derivative(text)
    if contract is not None:
        assert build(*contract) == text


@pytest.mark.parametrize(
    ("symbol", "exchange", "contract"),
    [
        ("NIFTY28MAR2420800CE", "NFO", ("NIFTY", "CE", date(2024, 3, 28), "20800")),
        ("VEDL25APR24292.5CE", "NFO", ("VEDL", "CE", date(2024, 4, 25), "292.5")),
        ("USDINR19APR2482CE", "CDS", ("USDINR", "CE", date(2024, 4, 19), "82")),
        ("USDINR28NOV2483.25CE", "CDS", ("USDINR", "CE", date(2024, 11, 28), "83.25")),
        ("CRUDEOIL17APR246750CE", "MCX", ("CRUDEOIL", "CE", date(2024, 4, 17), "6750")),
        ("726GS203225APR2497PE", "CDS", ("726GS2032", "PE", date(2024, 4, 25), "97")),
        ("726GS203325APR24FUT", "CDS", ("726GS2033", "FUT", date(2024, 4, 25), None)),
        ("NIFTYNXT5028OCT2568000PE", "NFO", ("NIFTYNXT50", "PE", date(2025, 10, 28), "68000")),
        ("M&M28OCT25FUT", "NFO", ("M&M", "FUT", date(2025, 10, 28), None)),
        ("BAJAJ-AUTO28OCT259000CE", "NFO", ("BAJAJ-AUTO", "CE", date(2025, 10, 28), "9000")),
        ("360ONE28OCT251100PE", "NFO", ("360ONE", "PE", date(2025, 10, 28), "1100")),
        ("BTC28FEB2562000CE", "CRYPTO", ("BTC", "CE", date(2025, 2, 28), "62000")),
    ],
)
def test_the_contract_examples(
    symbol: str, exchange: str, contract: tuple[str, str, date, str | None]
) -> None:
    base, kind, expiry, strike = contract
    wanted = Contract(base, InstrumentKind(kind), expiry, Decimal(strike) if strike else None)
    assert parse(symbol, Exchange(exchange)) == wanted
    assert build(*wanted) == symbol


@pytest.mark.parametrize(
    "symbol",
    [
        "",
        "NIFTY",
        "FUT",
        "28MAR24FUT",
        "NIFTY31FEB24FUT",
        "NIFTY28MAR2420800.0CE",
        "NIFTY28MAR24020800CE",
        "NIFTY28MAR240CE",
        "NIFTY28MAR24CE",
        "nifty28mar2420800ce",
        "NIFTY28MAR24٢٠CE",
        "NIFTY 28MAR2420800CE",
        "NIFTY28MAR2420800CE\n",
    ],
)
def test_what_is_no_contract_is_none(symbol: str) -> None:
    assert parse(symbol, Exchange.NFO) is None


def test_cash_and_indices_are_their_name() -> None:
    for exchange in CASH:
        assert parse("NIFTY28MAR24FUT", exchange) == Contract("NIFTY28MAR24FUT", InstrumentKind.EQUITY)
        assert parse("M&M", exchange) == Contract("M&M", InstrumentKind.EQUITY)
        assert parse("M M", exchange) is None
    for exchange in QUOTE_ONLY:
        assert parse("SENSEX", exchange) == Contract("SENSEX", InstrumentKind.INDEX)


def test_crypto_has_perpetuals_and_pairs() -> None:
    assert parse("BTCUSDFUT", Exchange.CRYPTO) == Contract("BTCUSD", InstrumentKind.PERPETUAL)
    assert parse("ETHUSDT", Exchange.CRYPTO) == Contract("ETHUSDT", InstrumentKind.SPOT)
    assert build("BTCUSD", InstrumentKind.PERPETUAL) == "BTCUSDFUT"


def test_an_underlying_may_carry_its_expiry() -> None:
    assert parse_underlying("NIFTY") == ("NIFTY", None)
    assert parse_underlying("NIFTY28OCT25") == ("NIFTY", date(2025, 10, 28))
    assert parse_underlying("CRUDEOIL17NOV25FUT") == ("CRUDEOIL", date(2025, 11, 17))
    assert parse_underlying("NIFTY 50") is None


def test_expiries_are_read_in_each_spelling() -> None:
    assert (
        parse_expiry("28OCT25") == parse_expiry("28-OCT-25") == parse_expiry("28oct25") == date(2025, 10, 28)
    )
    assert parse_expiry("31FEB25") is None
    assert parse_expiry("2025-10-28") is None
    assert expiry_text(date(2026, 3, 5)) == "05MAR26"


def test_only_shares_lose_their_series() -> None:
    assert cash_symbol("RELIANCE", "EQ") == cash_symbol("RELIANCE", "BE") == "RELIANCE"
    assert cash_symbol("715RJ53", "SG") == "715RJ53-SG"
    assert cash_symbol("8.9JSWSL30", "") == "89JSWSL30"
    assert clean_base("12 MFLS3") == "12MFLS3"


@pytest.mark.parametrize("strike", ["0", "-1", "NaN", "Infinity"])
def test_a_strike_is_a_positive_number(strike: str) -> None:
    with pytest.raises(ValueError, match="not a strike"):
        strike_text(Decimal(strike))


def test_parts_that_make_no_contract_are_refused() -> None:
    for parts in (
        ("NIFTY", InstrumentKind.FUTURE),
        ("NIFTY", InstrumentKind.CALL, date(2026, 1, 1)),
        ("", InstrumentKind.EQUITY),
        ("nan", InstrumentKind.EQUITY),
    ):
        with pytest.raises(ValueError):
            build(*parts)
