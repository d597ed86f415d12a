"""One product and one Chromium for all browser tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.browser.product import PASSWORD, Desk, Product, has_chromium, launch, running


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.browser)
            item.add_marker(pytest.mark.campaign)
            item.add_marker(pytest.mark.timeout(300))
            if not has_chromium():
                item.add_marker(pytest.mark.skip(reason="there is no Chromium at /usr/bin"))


@pytest.fixture(scope="session")
def product(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    """An install with the user asha."""
    with running(tmp_path_factory.mktemp("install") / "data") as started:
        started.command("user", "add", "asha", "--admin", "--password-stdin", typed=PASSWORD + "\n")
        yield started


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = launch(playwright)
        yield browser
        browser.close()


@pytest.fixture
def desk(chromium: Browser, product: Product) -> Iterator[Desk]:
    """Signed in as asha, on a desktop screen."""
    desk = Desk(chromium, product.base)
    desk.sign_in()
    yield desk
    desk.close()
