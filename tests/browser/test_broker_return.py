"""Back from a broker's login page, which is another site to the browser: by a redirect, and by a form that it posts."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.browser.product import ROOT, Desk, Product


@contextmanager
def rehearsal(product: Product, name: str, *options: str) -> Iterator[dict[str, Any]]:
    """`manage.py simulate` under the other loopback name: the product is at 127.0.0.1, the broker at localhost."""
    back = f"{product.base}/{name}/callback"
    call = [sys.executable, "-m", "commands", "simulate", name, "--still", "--redirect", back, *options]
    process = subprocess.Popen(call, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        told = json.loads(process.stdout.readline())
        told["login"] = told.get("login", "").replace("127.0.0.1", "localhost")
        yield told
    finally:
        process.terminate()
        process.wait(10)


@pytest.mark.xdist_group("broker return")  # it mostly waits for processes of its own
@pytest.mark.parametrize(
    ("broker", "options"),
    [
        pytest.param("zerodha", (), id="redirect"),
        pytest.param("compositedge", (), id="redirect with JSON in it"),
        pytest.param("compositedge", ("--post-back",), id="posted"),
    ],
)
def test_a_broker_on_another_site_brings_the_person_back(
    product: Product, desk: Desk, broker: str, options: tuple[str, ...]
) -> None:
    account = f"{broker}{len(options)}"
    page = desk.page
    with rehearsal(product, broker, *options) as told:
        added = product.command("account", "add", account, "--user", "asha", "--broker", broker)
        words, typed = (account, "--user", "asha"), json.dumps(told)
        product.command("broker", "login", *words, "--stdin", "--no-master", typed=typed)
        product.command("broker", "logout", *words)
        page.goto(f"/accounts/{added.split()[2]}/connect")
        page.click(".panel button.btn-primary")
        leave = page.locator("a.btn-primary")
        expect(leave).to_have_attribute("href", re.compile(r"^http://localhost:"))
        leave.click()
        if options:
            expect(page).to_have_title("Approve")
            assert "localhost" in page.url
            page.click("button")
            page.click("button:text-is('Go on')")
        page.click(f"button:text('Connect {account}')")
        page.wait_for_url("**/accounts")
        expect(page.get_by_text(f"{account} is connected")).to_be_visible()
        told_state = product.command("broker", "status", *words)
        assert re.search(rf"{account} at {broker}: (ok|expiring)", told_state), (
            told_state
        )  # near the daily cut
        assert desk.complaints == []
