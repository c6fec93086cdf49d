"""The folder of what was fetched, and whether a file in it is what was expected."""

from __future__ import annotations

import hashlib
import os
import re
import sys
from pathlib import Path, PurePosixPath
from urllib.parse import unquote

from residua.errors import UserError


def cache_folder() -> Path:
    """Folder of what was fetched: RESIDUA_CACHE, or `residua` in the user's cache folder."""
    try:
        if chosen := os.environ.get("RESIDUA_CACHE"):
            return Path(chosen).expanduser().absolute()
        return _user_cache() / "residua"
    except RuntimeError:  # as for a user id that nobody gave a home
        raise UserError("you have no home folder: set RESIDUA_CACHE to a folder for downloads.") from None


def _user_cache() -> Path:
    variable, usual = {
        "darwin": ("", "Library/Caches"),
        "win32": ("LOCALAPPDATA", "AppData/Local"),
    }.get(sys.platform, ("XDG_CACHE_HOME", ".cache"))
    folder = Path(os.environ.get(variable, ""))
    return folder if folder.is_absolute() else Path.home() / usual


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def has_sha256(path: Path, sha256: str | None) -> bool:
    """Whether a file's hash begins with these digits; without any, every file will do."""
    return sha256 is None or file_sha256(path).startswith(sha256.lower())


def safe_name(name: str) -> str:
    """Make a file name of plain signs that cannot leave its folder."""
    last = PurePosixPath(unquote(name).replace("\\", "/")).name
    return re.sub(r"[^\w.+-]", "_", last, flags=re.ASCII).lstrip(".")[-150:] or "file"
