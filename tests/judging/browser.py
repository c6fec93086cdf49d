"""Pages in a real browser: how they come out at a width, by day and by night."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
PATIENCE = 60  # seconds

# Runs in a page around the pages: their own rules forbid them to run anything.
LOOK = """
const clear = 'rgba(0, 0, 0, 0)';
const parts = text => text.match(/[\\d.]+/g).map(Number);
function over(top, below) {
  const [r, g, b, a = 1] = parts(top), under = below;
  return [r, g, b].map((value, i) => a * value + (1 - a) * under[i]);
}
function ground(element) {
  const layers = [];
  for (let each = element; each; each = each.parentElement) {
    const style = each.ownerDocument.defaultView.getComputedStyle(each);
    if (style.backgroundColor !== clear) layers.unshift(style.backgroundColor);
  }
  return layers.reduce((below, top) => over(top, below), [255, 255, 255]);
}
function light(colour) {
  const linear = value => value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  const [r, g, b] = colour.map(value => linear(value / 255));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}
function contrast(element) {
  const style = element.ownerDocument.defaultView.getComputedStyle(element);
  const ink = element.namespaceURI.endsWith('svg') ? style.fill : style.color;
  if (parts(ink)[3] === 0) return null;  // meant for nobody's eyes
  const below = ground(element), [one, other] = [light(over(ink, below)), light(below)];
  return (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
}
function faint(page) {
  const found = [];
  for (const element of page.querySelectorAll('body *')) {
    const text = [...element.childNodes].filter(n => n.nodeType === 3).map(n => n.data).join('').trim();
    const value = text && contrast(element);
    if (value && value < 4.5) found.push(`${text.slice(0, 20)} (${element.className}): ${value.toFixed(1)}`);
  }
  return [...new Set(found)];
}
function seen(frame) {
  const page = frame.contentDocument, view = frame.contentWindow;
  return {
    wide: page.documentElement.scrollWidth - view.innerWidth,
    faint: faint(page),
    fetched: view.performance.getEntriesByType('resource').map(each => each.name)
      .filter(name => !name.startsWith('data:')),
    pictures: [...page.images].map(each => each.naturalWidth),
    unnamed: [...page.images].filter(each => !each.alt).length,
    title: page.title,
    text: page.body.innerText,
  };
}
onload = () => {
  const found = {};
  for (const frame of document.querySelectorAll('iframe')) found[frame.id] = seen(frame);
  document.getElementById('seen').textContent = JSON.stringify(found);
};
"""


@dataclass(frozen=True)
class Seen:
    """What a browser made of pages: each by its name and width, and what it complained of."""

    pages: dict[str, dict[str, Any]]
    console: list[str]


@cache
def browser() -> str | None:
    """The browser's command, if there is one that runs."""
    for command in filter(None, map(shutil.which, NAMES)):
        done = subprocess.run([command, "--version"], capture_output=True, timeout=PATIENCE, check=False)
        if done.returncode == 0:
            return command
    return None


def look(folder: Path, pages: Mapping[str, Path], widths: tuple[int, ...], dark: bool = False) -> Seen:
    """Open pages at some widths."""
    frames = "".join(
        f'<iframe id="{name} {width}" src="{path.as_uri()}" style="width:{width}px;height:600px"></iframe>'
        for name, path in pages.items()
        for width in widths
    )
    around = folder / "around.html"
    around.write_text(
        f"<!doctype html><style>iframe{{border:0}}</style>{frames}<pre id=seen></pre><script>{LOOK}</script>"
    )
    words = (
        *("--headless", "--no-sandbox", "--disable-gpu", "--allow-file-access-from-files"),
        *("--no-first-run", "--disable-extensions", "--disable-background-networking"),
        *("--enable-logging=stderr", f"--user-data-dir={folder / 'profile'}"),
        *(["--blink-settings=preferredColorScheme=0"] if dark else []),
        *("--dump-dom", around.as_uri()),
    )
    done = subprocess.run(
        [str(browser()), *words], capture_output=True, text=True, timeout=PATIENCE, check=True
    )
    found = re.search(r'<pre id="seen">(.*?)</pre>', done.stdout, re.DOTALL)
    assert found, done.stdout[-1000:] + done.stderr[-1000:]
    console = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    return Seen(json.loads(html.unescape(found[1])), console)
