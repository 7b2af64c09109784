"""A real browser, where there is one: Debian's Chromium, driven by Playwright."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

ROOT = Path(__file__).resolve().parent.parent.parent
SCREENSHOTS = ROOT / "docs" / "screenshots"
NAMES = ("chromium", "chromium-browser", "google-chrome")
COLOURS = 255
"""A page of ours has few: a palette makes a picture a quarter of its size and looks the same."""


def find_chromium() -> str:
    """CHROMIUM, else the first that is on the PATH; skips the test where there is none."""
    found = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        pytest.skip("no Chromium: apt-get install chromium, or CHROMIUM=/path/to/it")
    return found


@contextmanager
def open_browser() -> Iterator[Any]:
    """Playwright's browser; closed at the end."""
    driver = pytest.importorskip("playwright.sync_api", reason="no Playwright")
    program = find_chromium()
    # Chromium's own sandbox refuses to run as root, as which builds often run
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
    with driver.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=arguments)
        try:
            yield browser
        finally:
            browser.close()


def take(page: Any, name: str) -> None:
    """A picture for the docs, if they were asked for (SCREENSHOTS=yes)."""
    if os.environ.get("SCREENSHOTS") != "yes":
        return
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    path = SCREENSHOTS / f"{name}.png"
    page.screenshot(path=path)
    with Image.open(path) as picture:
        picture.convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE).save(path, optimize=True)


# --- what a person with other eyes needs ---------------------------------------------------------------------------------

NAMELESS = """() => [...document.querySelectorAll("input:not([type=hidden]), select, textarea, button, a")]
  .filter((one) => one.checkVisibility() && !one.labels?.length && !one.getAttribute("aria-label") && !one.textContent.trim())
  .map((one) => one.outerHTML.slice(0, 120))"""
"""What can be used and says nothing of itself to a screen reader."""

SPILLING = """() => [...document.querySelectorAll(".card, .panel, .column, .item, fieldset, .budgets > li")]
  .filter((one) => one.checkVisibility() && one.scrollWidth > one.clientWidth + 1).map((one) => one.id || one.className)"""
"""What is wider than the box that it lies in."""

PALE = """() => {
  const canvas = Object.assign(document.createElement("canvas"), { width: 1, height: 1 });
  const pen = canvas.getContext("2d", { willReadFrequently: true });
  const rgba = (colour) => {
    pen.clearRect(0, 0, 1, 1); pen.fillStyle = colour; pen.fillRect(0, 0, 1, 1);
    return [...pen.getImageData(0, 0, 1, 1).data];
  };
  const light = (colour) => colour.slice(0, 3).map((part) => part / 255)
    .map((part) => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4)
    .reduce((sum, part, at) => sum + part * [0.2126, 0.7152, 0.0722][at], 0);
  const ground = (one) => {
    for (; one; one = one.parentElement) {
      const colour = rgba(getComputedStyle(one).backgroundColor);
      if (colour[3] > 250) return colour;
    }
    return [255, 255, 255, 255];
  };
  const found = new Set();
  const words = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (words.nextNode()) {
    const one = words.currentNode.parentElement;
    if (!words.currentNode.data.trim() || !one.checkVisibility() || one.closest(".unseen, .spent, .arrived")) continue;
    const [high, low] = [light(rgba(getComputedStyle(one).color)), light(ground(one))].sort((a, b) => b - a);
    const contrast = (high + 0.05) / (low + 0.05);
    if (contrast < 4.5) found.add(`${contrast.toFixed(2)} ${one.tagName}.${one.className}: ${words.currentNode.data.trim().slice(0, 30)}`);
  }
  return [...found];
}"""
"""Words with less than 4.5 to 1 between them and their ground (WCAG 2, AA)."""
