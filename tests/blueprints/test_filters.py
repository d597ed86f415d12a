"""Numbers as pages write them."""

import pytest

from blueprints.filters import millis


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "–"), (0.004, "0.00"), (0.04, "0.04"), (0.96, "0.96"), (1, "1.0"), (6.24, "6.2"), (142.3, "142")],
)
def test_milliseconds_are_the_finer_the_fewer(value: float | None, text: str) -> None:
    assert millis(value) == text
