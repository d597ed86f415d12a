"""A product and a Chromium for each file of browser tests: what one file leaves behind meets no other."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect, sync_playwright

from tests.browser.product import PASSWORD, Desk, Product, command, has_chromium, launch, running

expect.set_options(timeout=20_000)
"""A busy machine is not a fault; what waits for longer says so itself."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.browser)
            item.add_marker(pytest.mark.timeout(300))
            if not has_chromium():
                item.add_marker(pytest.mark.skip(reason="there is no Chromium at /usr/bin"))


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory with the user asha, made once and copied; a start from nothing has its own journey."""
    data = tmp_path_factory.mktemp("prepared") / "data"
    command(data, "user", "add", "asha", "--admin", "--password-stdin", typed=PASSWORD + "\n")
    return data


@pytest.fixture(scope="module")
def product(tmp_path_factory: pytest.TempPathFactory, prepared: Path) -> Iterator[Product]:
    """An install with the user asha."""
    data = tmp_path_factory.mktemp("install") / "data"
    shutil.copytree(prepared, data)
    with running(data) as started:
        yield started


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """While it is open, no test of an event loop could run in this process."""
    with sync_playwright() as playwright:
        browser = launch(playwright)
        yield browser
        browser.close()


@pytest.fixture
def desk(request: pytest.FixtureRequest, chromium: Browser, product: Product) -> Iterator[Desk]:
    """Signed in as asha, on a desktop screen. A test that fails tells what the screen showed."""
    desk = Desk(chromium, product.base)
    desk.sign_in()
    yield desk
    if request.session.testsfailed:
        print(f"the screen at the end: {desk.page.url}", desk.words()[:1500], *desk.complaints, sep="\n")
        print("the product's errors:", *product.errors()[-5:], sep="\n")
    desk.close()
