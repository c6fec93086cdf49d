"""One file from a server into the cache: resumed after a break, whole or not at all."""

from __future__ import annotations

import contextlib
import os
import re
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.client import HTTPException, HTTPMessage, HTTPResponse, IncompleteRead
from pathlib import Path
from typing import IO, Any
from urllib.error import HTTPError, URLError
from urllib.request import HTTPRedirectHandler, Request, build_opener

from residua import __version__
from residua.errors import UserError
from residua.weights.cache import has_sha256
from residua.weights.urls import fault, shown

Progress = Callable[[int, int | None], None]  # bytes there, bytes in all (None where nobody says)

CHUNK = 1 << 18


@dataclass(frozen=True)
class Patience:
    """How long to wait for a server and how often to try."""

    timeout: float = 30  # seconds without a byte, while connecting and while reading
    attempts: int = 4
    pause: float = 0.5  # seconds after the first failure; then longer


PATIENT = Patience()


class AbsentError(UserError):
    """The server has no such file."""


class _FailedError(Exception):
    """Why an attempt failed, whether another may succeed, and whether it can go on with what is there."""

    def __init__(self, reason: str, *, again: bool, spoiled: bool = False, status: int | None = None) -> None:
        super().__init__(reason)
        self.again = again
        self.spoiled = spoiled
        self.status = status


@dataclass(frozen=True)
class Download:
    """One file of the cache. Beside it lie its unfinished part and a lock that says what the part is of."""

    url: str
    path: Path
    sha256: str | None
    progress: Progress | None
    size_limit: int
    patience: Patience

    @property
    def part(self) -> Path:
        """The unfinished file."""
        return self.path.with_name(f".{self.path.name}.part")

    def cached(self) -> bool:
        """Whether the file is there and has the expected content."""
        return self.path.is_file() and has_sha256(self.path, self.sha256)

    def run(self) -> Path:
        """Fetch the file unless it is there."""
        try:
            if not self.cached():
                self.path.parent.mkdir(parents=True, exist_ok=True)
                with _locked(self.path.with_name(f".{self.path.name}.lock")) as note:
                    if not self.cached():  # another process may have fetched it while we waited
                        self._insist(note)
        except OSError as error:
            reason = error.strerror or error
            raise UserError(f"{self.path} cannot be read or written in the cache: {reason}.") from None
        return self.path

    def _insist(self, note: IO[str]) -> None:
        for attempt in range(self.patience.attempts):
            time.sleep(self.patience.pause * (2**attempt - 1))
            try:
                self._attempt(note)
            except _FailedError as error:
                failure = error
                if error.spoiled:
                    self.part.unlink(missing_ok=True)
                if not error.again:
                    break
            else:
                return self._accept()
        kind = AbsentError if failure.status == 404 else UserError
        raise kind(
            f"{self.url} cannot be downloaded ({failure}): try again, or put the file at {self.path} by hand."
        )

    def _accept(self) -> None:
        if not has_sha256(self.part, self.sha256):
            self.part.unlink()
            raise UserError(
                f"{self.url} gave a file that is not the expected one and was removed: "
                f"its SHA-256 does not begin with {self.sha256}."
            )
        self.part.replace(self.path)

    def _attempt(self, note: IO[str]) -> None:
        start, validator = self._left_over(note)
        with self._opened(start, validator) as response:
            start, total = self._span(response, start, validator)
            with self.part.open("ab" if start else "wb") as file:
                if not start:
                    _write(note, _validator(response.headers))
                self._receive(response, file, start, total)
                os.fsync(file.fileno())

    def _left_over(self, note: IO[str]) -> tuple[int, str]:
        """Bytes that an earlier call left, and the version of the file that they are of."""
        note.seek(0)
        validator = note.read()
        known = validator and self.part.is_file()
        return (self.part.stat().st_size if known else 0), validator

    def _opened(self, start: int, validator: str) -> HTTPResponse:
        headers = {"User-Agent": f"residua/{__version__}"}
        if start:
            headers |= {"Range": f"bytes={start}-", "If-Range": validator}
        request = Request(self.url, headers=headers)  # noqa: S310 - its scheme was checked
        try:
            response: HTTPResponse = build_opener(_Redirects).open(request, timeout=self.patience.timeout)
        except HTTPError as error:
            error.close()
            raise self._refusal(error.code) from None
        except ValueError:
            raise _FailedError("it redirects to what is no URL", again=False) from None
        except (OSError, HTTPException) as error:
            raise _FailedError(_reason(error), again=True) from None
        return response

    def _refusal(self, status: int) -> _FailedError:
        if 300 <= status < 400:
            return _FailedError("it redirects without end", again=False)
        again = status in (408, 416, 429) or status >= 500
        # 416: what we hold is longer than what the server has
        return _FailedError(f"the server answers {status}", again=again, spoiled=status == 416, status=status)

    def _span(self, response: HTTPResponse, start: int, validator: str) -> tuple[int, int | None]:
        """Where the answer starts in the file, and how long the file is."""
        if response.status == 206:
            span = re.fullmatch(r"bytes (\d+)-\d+/(\d{1,18})", response.headers.get("Content-Range", ""))
            changed = _validator(response.headers) not in ("", validator)
            if span is None or span[1] != str(start) or changed:
                raise _FailedError("the server sends another part than asked for", again=True, spoiled=True)
            return start, int(span[2])
        if response.status != 200:
            raise self._refusal(response.status)
        length = response.headers.get("Content-Length", "")
        total = int(length) if re.fullmatch(r"\d{1,18}", length, re.ASCII) else None
        if total is None and not response.chunked and not self.sha256:
            raise _FailedError("the server does not say how long it is", again=False)
        return 0, total

    def _receive(self, response: HTTPResponse, file: IO[bytes], done: int, total: int | None) -> None:
        self._limit(total or 0)
        for chunk in _chunks(response):
            file.write(chunk)
            done += len(chunk)
            self._limit(done)
            if self.progress:
                self.progress(done, total)
        if total is not None and done != total:
            reason = f"it ends after {done:,} of {total:,} bytes"
            raise _FailedError(reason, again=True, spoiled=done > total)

    def _limit(self, size: int) -> None:
        if size > self.size_limit:
            raise _FailedError(f"it is larger than {self.size_limit:,} bytes", again=False, spoiled=True)


class _Redirects(HTTPRedirectHandler):
    """Follows a few redirects, to where a file may come from."""

    max_redirections = 5

    def http_error_302(self, req: Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage) -> Any:
        """Follow a redirect; the page that comes with it, however long, is not read."""
        fp.close()
        return super().http_error_302(req, fp, code, msg, headers)

    http_error_301 = http_error_303 = http_error_307 = http_error_308 = http_error_302

    def redirect_request(
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> Request | None:
        """Check where the redirect leads."""
        if reason := fault(newurl, by=req.full_url):
            raise _FailedError(f"it redirects to {shown(newurl)}: {reason}", again=False)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _chunks(response: HTTPResponse) -> Iterator[bytes]:
    """What arrives, as it arrives; network errors are told from those of the disk here."""
    try:
        while chunk := response.read1(CHUNK):
            yield chunk
    except (OSError, HTTPException) as error:
        raise _FailedError(_reason(error), again=True) from None


def _reason(error: Exception) -> str:
    cause = error.reason if isinstance(error, URLError) else error
    if isinstance(cause, TimeoutError):
        return "the server is silent"
    if isinstance(cause, IncompleteRead):
        return "it breaks off"
    return str(getattr(cause, "strerror", None) or cause or type(cause).__name__).rstrip(".")


def _validator(headers: HTTPMessage) -> str:
    """Name this version of the file such that a resumed download cannot mix two."""
    tag = headers.get("ETag", "")
    return tag if tag and not tag.startswith("W/") else headers.get("Last-Modified", "")


def _write(note: IO[str], text: str) -> None:
    note.seek(0)
    note.truncate()
    note.write(text)
    note.flush()


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[IO[str]]:
    """Hold a file that one process at a time can hold; others wait."""
    with path.open("a+", encoding="utf-8") as file:
        _lock(file.fileno())  # closing unlocks
        yield file


if sys.platform == "win32":
    import errno
    import msvcrt

    def _lock(handle: int) -> None:
        while True:
            os.lseek(handle, 0, os.SEEK_SET)  # it locks one byte from here on
            try:
                return msvcrt.locking(handle, msvcrt.LK_LOCK, 1)
            except OSError as error:
                if error.errno not in (errno.EDEADLK, errno.EACCES):  # raised after ten seconds of waiting
                    raise

else:
    import fcntl

    def _lock(handle: int) -> None:
        fcntl.flock(handle, fcntl.LOCK_EX)
