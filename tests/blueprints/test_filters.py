"""Numbers as pages write them."""

import pytest

from blueprints.filters import browser, millis


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "–"), (0.004, "0.00"), (0.04, "0.04"), (0.96, "0.96"), (1, "1.0"), (6.24, "6.2"), (142.3, "142")],
)
def test_milliseconds_are_the_finer_the_fewer(value: float | None, text: str) -> None:
    assert millis(value) == text


@pytest.mark.parametrize(
    ("agent", "text"),
    [
        (
            "Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0 Safari/537.36",
            "Chrome on Windows",
        ),
        (
            "Mozilla/5.0 (Windows NT 10.0)"
            " AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0 Safari/537.36 Edg/142.0",
            "Edge on Windows",
        ),
        (
            "Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X)"
            " AppleWebKit/605.1 (KHTML, like Gecko) Version/19.0 Safari/604.1",
            "Safari on iPhone",
        ),
        (
            "Mozilla/5.0 (Linux; Android 16)"
            " AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0 Mobile Safari/537.36",
            "Chrome on Android",
        ),
        ("Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0", "Firefox on Linux"),
        ("Mozilla/5.0 (compatible; something)", "A browser"),
        ("python-requests/2.34.2", "python-requests/2.34.2"),
        ("", "Unknown browser"),
    ],
)
def test_a_browser_is_called_what_people_call_it(agent: str, text: str) -> None:
    assert browser(agent) == text
