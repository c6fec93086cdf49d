"""Fetch a file once: a URL, or the files of a Hugging Face repository."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import sys
from pathlib import Path
from urllib.parse import quote, urlsplit
from urllib.request import url2pathname

from residua.errors import UserError
from residua.weights.cache import cache_folder, has_sha256, safe_name
from residua.weights.transfer import PATIENT, AbsentError, Download, Patience, Progress
from residua.weights.urls import fault, shown

SIZE_LIMIT = 4 << 30
CONFIG_LIMIT = 10_000_000
HUB = "https://huggingface.co"  # HF_ENDPOINT names a mirror, as for Hugging Face's own library
REPOSITORY = re.compile(
    r"(?P<owner>[a-z\d][\w.-]{0,95})/(?P<name>[a-z\d][\w.-]{0,95})(@(?P<revision>[a-z\d][\w./-]{0,99}))?",
    re.ASCII | re.IGNORECASE,
)


def fetch(
    url: str,
    *,
    sha256: str | None = None,
    file_name: str | None = None,
    progress: Progress | None = None,
    size_limit: int = SIZE_LIMIT,
    patience: Patience = PATIENT,
) -> Path:
    """Return the path of a URL's file, fetched unless it is in the cache.

    `sha256` is the hash of the content or its first 8 or more digits. With `file_name` the file lies under
    that name in the cache folder; without one it gets a folder there for its URL. The file of a file:// URL
    stays where it is.
    """
    if sha256 is not None and not re.fullmatch(r"[\da-fA-F]{8,64}", sha256):
        raise UserError(f"sha256={sha256!r} is not valid: it must be 8 to 64 hexadecimal digits.")
    if url.lower().startswith("file:"):
        return _local(url, sha256, size_limit)
    if reason := fault(url):
        raise UserError(f"{shown(url)} is refused: {reason}.")
    if file_name:
        path = cache_folder() / safe_name(file_name)
    else:
        path = cache_folder() / hashlib.sha256(url.encode()).hexdigest()[:12] / safe_name(urlsplit(url).path)
    return Download(url, path, sha256, progress, size_limit, patience).run()


def fetch_repository(
    repository: str,
    *,
    sha256: str | None = None,
    progress: Progress | None = None,
    size_limit: int = SIZE_LIMIT,
    patience: Patience = PATIENT,
) -> Path:
    """Return the folder of a Hugging Face repository ("owner/name" or "owner/name@revision").

    It holds config.json, model.safetensors (whose hash may be given) and, where there is one,
    preprocessor_config.json. A revision is fetched once, also where it is a branch that moves on.
    """
    match = REPOSITORY.fullmatch(repository)
    if match is None:
        raise UserError(f"{repository!r} is not a repository: it must be owner/name or owner/name@revision.")
    owner, name, revision = match["owner"], match["name"], quote(match["revision"] or "main", safe="")
    base = f"{os.environ.get('HF_ENDPOINT', HUB).rstrip('/')}/{owner}/{name}/resolve/{revision}"
    if reason := fault(base):
        raise UserError(f"{shown(base)} is refused: {reason}.")
    folder = cache_folder() / "huggingface" / f"{owner}--{name}" / revision

    def config(file: str) -> Download:
        return Download(f"{base}/{file}", folder / file, None, None, CONFIG_LIMIT, patience)

    file = "model.safetensors"
    weights = Download(f"{base}/{file}", folder / file, sha256, progress, size_limit, patience)
    config("config.json").run()
    if not weights.cached():  # they come last: where they are, the optional file was asked for
        with contextlib.suppress(AbsentError):
            config("preprocessor_config.json").run()
    weights.run()
    return folder


def show_progress(done: int, total: int | None) -> None:
    """Show a download to whoever sits at the terminal."""
    if not sys.stderr.isatty():
        return
    share = f"{done / total:5.1%} of {total / 2**20:.0f} MiB" if total else f"{done / 2**20:.0f} MiB"
    sys.stderr.write(f"\rdownloading {share}" + ("\n" if done == total else ""))


def _local(url: str, sha256: str | None, size_limit: int) -> Path:
    match = re.fullmatch(r"file:(//(localhost)?)?(/(?!/).*)", url, re.IGNORECASE | re.DOTALL)
    if match is None:
        raise UserError(f"{url!r} is refused: a file:// URL must name a file of this computer.")
    path = Path(url2pathname(match[3]))
    if not path.is_file():
        raise UserError(f"{path} does not exist or is not a file.")
    if path.stat().st_size > size_limit:
        raise UserError(f"{path} is refused: it is larger than {size_limit:,} bytes.")
    if not has_sha256(path, sha256):
        raise UserError(f"{path} is not the expected file: its SHA-256 does not begin with {sha256}.")
    return path
