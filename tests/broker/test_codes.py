"""Code tables read every spelling they list and make no guess about any other."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.codes import CodeTable, UnknownCode
from domain.errors import NotSupported
from domain.model import OrderState, Product

PRODUCT = CodeTable({Product.INTRADAY: "I", Product.CARRY: "M"}, also={"H": Product.INTRADAY})
STATE = CodeTable({OrderState.TRIGGER_PENDING: "TRIGGER PENDING"})


def test_a_code_goes_both_ways() -> None:
    assert PRODUCT.write(Product.CARRY) == "M"
    assert PRODUCT.read("M") is Product.CARRY
    assert PRODUCT.read("H") is Product.INTRADAY


def test_underscores_case_and_blanks_are_one_spelling() -> None:
    assert STATE.read(" trigger_pending ") is OrderState.TRIGGER_PENDING


def test_a_member_without_a_word_is_not_supported() -> None:
    with pytest.raises(NotSupported):
        PRODUCT.write(Product.DELIVERY)


@given(st.one_of(st.text(), st.none(), st.integers(), st.lists(st.text())))
def test_an_unlisted_code_is_never_a_default(code: object) -> None:
    if isinstance(code, str) and code.strip().upper() in {"I", "M", "H"}:
        return
    assert PRODUCT.get(code) is None
    with pytest.raises(UnknownCode):
        PRODUCT.read(code)
