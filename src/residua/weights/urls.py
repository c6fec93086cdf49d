"""Where a file may come from, and how a URL is shown."""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import urlsplit


def fault(url: str, by: str | None = None) -> str | None:
    """Say what is wrong with a remote URL, if anything is; another host redirects nobody to this computer."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        host = None
    if not host or not url.isascii() or not url.isprintable() or " " in url:
        return "it is not a valid URL"
    if "@" in parts.netloc:
        return "a URL with a password in it would be stored and shown"
    if by and _is_loopback(host) and not _is_loopback(urlsplit(by).hostname or ""):
        return "it is of this computer, and only this computer may lead there"
    if parts.scheme == "https" or (parts.scheme == "http" and _is_loopback(host)):
        return None
    return (
        "files come by https:// (by http:// from this computer only), where nobody on the way can change them"
    )


def shown(url: str) -> str:
    """Write a URL for an error: on one line, bounded, and without a password."""
    return repr(re.sub(r"//[^/]*@", "//", url)[:200])


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
