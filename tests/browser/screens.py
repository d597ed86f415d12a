"""Draw every page into docs/screens: both themes, and at phone width. Look at what changed.

    python -m tests.browser.screens [--out FOLDER] [--only PART] [--width 360]

Needs Chromium and Pillow (`pip install pillow`), which turns a screenshot into a palette of a third of its size.
"""

from __future__ import annotations

import argparse
import importlib
import io
import re
import tempfile
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, sync_playwright

from tests.browser.pages import PAGES, STRANGERS
from tests.browser.people import Person, details, live_a_day
from tests.browser.product import PASSWORD, ROOT, Desk, launch, running

LOOKS = (("dark", 1440, 900), ("light", 1440, 900), ("dark", 360, 740), ("light", 360, 740))
COLOURS = 224
BETWEEN = 112


def main() -> None:
    parser = argparse.ArgumentParser(description="Draw every page into docs/screens.")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "screens")
    parser.add_argument("--only", default="", help="only pages whose address has this in it")
    parser.add_argument(
        "--width", type=int, choices=sorted({width for _, width, _ in LOOKS}), help="only this width"
    )
    asked = parser.parse_args()
    image = importlib.import_module("PIL.Image")
    asked.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch, running(Path(scratch) / "data") as product:
        product.command("user", "add", "asha", "--admin", "--password-stdin", typed=PASSWORD + "\n")
        person = Person(product)
        live_a_day(person)
        pages = [path for path in (*PAGES, *details(person)) if asked.only in path]
        strangers = [path for path in STRANGERS if asked.only in path]
        with sync_playwright() as playwright:
            browser = launch(playwright)
            for look in LOOKS:
                if asked.width in (None, look[1]):
                    _draw(browser, product.base, look, pages, strangers, asked.out, image)
            browser.close()
    print(f"{sum(each.stat().st_size for each in asked.out.glob('*.png')) / 1e6:.1f} MB in {asked.out}")


def _draw(
    browser: Browser,
    base: str,
    look: tuple[str, int, int],
    pages: list[str],
    strangers: list[str],
    out: Path,
    image: Any,
) -> None:
    theme, width, height = look
    desk = Desk(browser, base, width, height, locale="en-IN", reduced_motion="reduce")
    desk.page.goto("/login")
    desk.theme(theme)
    for path in strangers:
        _shoot(desk, path, out / f"{name_of(path)}-{width}-{theme}.png", image)
    desk.sign_in()
    for path in pages:
        _shoot(desk, path, out / f"{name_of(path)}-{width}-{theme}.png", image)
    desk.close()


def name_of(path: str) -> str:
    """A file's name from an address: identifiers become words."""
    path = re.sub(r"/python/[0-9A-Za-z_]+_\d{14}", "/python/one", path)
    path = re.sub(r"/\d+", "/one", path).replace("exchange=NSE&symbol=RELIANCE", "")
    return "-".join(re.findall(r"[a-z]+", path.lower()))


def _shoot(desk: Desk, path: str, file: Path, image: Any) -> None:
    desk.page.goto(path)
    if desk.page.locator("[data-feed-dot]").count():
        desk.page.wait_for_selector("[data-feed-dot].dot-ok", state="attached", timeout=60_000)
        desk.page.wait_for_selector(
            "[data-feed-text]:text-matches('[0-9] s')", state="attached", timeout=60_000
        )
    if desk.page.locator("[data-line], #chart").count():
        desk.page.wait_for_selector(":is([data-line], #chart) canvas", state="attached", timeout=60_000)
    desk.page.wait_for_timeout(2000 if "/trade?" in path else 500)
    shot = image.open(io.BytesIO(desk.page.screenshot())).convert("RGB")
    shot.quantize(palette=_palette(shot, image), dither=0).save(file, optimize=True)


def _palette(shot: Any, image: Any) -> Any:
    """The commonest colours as they are, and some for everything between them, where each colour counts once:
    a dot of a few pixels keeps its own."""
    found = [colour for _, colour in sorted(shot.getcolors(shot.width * shot.height), reverse=True)]
    each = image.new("RGB", (len(found), 1))
    each.putdata(found)
    between = each.quantize(BETWEEN, dither=0).getpalette()[: 3 * BETWEEN]
    palette = image.new("P", (1, 1))
    palette.putpalette([part for colour in found[: COLOURS - BETWEEN] for part in colour] + between)
    return palette


if __name__ == "__main__":
    main()
