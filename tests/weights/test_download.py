"""Downloads from a real server on this computer that does what servers and networks do to files."""

import hashlib
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from http.client import HTTPMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path
from random import Random
from typing import Any
from urllib.request import Request

import pytest

from residua.errors import UserError
from residua.weights.cache import cache_folder, file_sha256
from residua.weights.download import fetch, fetch_repository
from residua.weights.transfer import Patience, _FailedError, _Redirects
from residua.weights.urls import fault

CONTENT = Random(0).randbytes(1_000_000)  # noqa: S311 - not a secret
SHA256 = hashlib.sha256(CONTENT).hexdigest()
HURRIED = Patience(timeout=0.3, attempts=3, pause=0.01)

get = partial(fetch, patience=HURRIED)
get_repository = partial(fetch_repository, patience=HURRIED)


class Handler(BaseHTTPRequestHandler):
    """Answers as the site's script for the path says."""

    protocol_version = "HTTP/1.1"
    server: "Site"

    def do_GET(self) -> None:
        self.close_connection = True
        self.server.asked.append((self.path, self.headers.get("Range")))
        script = self.server.scripts.get(self.path, [error(404)])
        (script.pop(0) if len(script) > 1 else script[0])(self)

    def start(self, status: int, **headers: object) -> None:
        self.server.statuses.append(status)
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), str(value))
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class calls it so
        """Keep quiet."""


Answer = Callable[[Handler], None]


class Site(ThreadingHTTPServer):
    """A web site: for each path what it answers the first time, the second time, and from then on."""

    daemon_threads = False  # so that closing waits for the answers

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.scripts: dict[str, list[Answer]] = {}
        self.asked: list[tuple[str, str | None]] = []
        self.statuses: list[int] = []
        self.closing = threading.Event()

    def at(self, path: str, *script: Answer) -> str:
        self.scripts[path] = list(script)
        return f"http://127.0.0.1:{self.server_port}{path}"

    def ranges(self) -> list[str | None]:
        return [span for _, span in self.asked]

    def handle_error(self, *_: Any) -> None:
        assert isinstance(sys.exc_info()[1], OSError)  # a client that went away


def file(
    content: bytes = CONTENT,
    *,
    etag: str | None = '"one"',
    modified: str | None = None,
    ranges: bool = True,
    cut: int | None = None,
    claimed: int | None = None,
    stall: bool = False,
) -> Answer:
    """Give a file as good servers do, or only its first bytes, with a claim on their number, or a stall."""

    def answer(handler: Handler) -> None:
        validator = etag or modified
        span = re.fullmatch(r"bytes=(\d+)-", handler.headers.get("Range", ""))
        fresh = handler.headers.get("If-Range") != validator
        start = 0 if span is None or fresh or not ranges else int(span[1])
        if start and start >= len(content):
            return handler.start(416, Content_Length=0, Content_Range=f"bytes */{len(content)}")
        headers: dict[str, object] = {"ETag": etag, "Last_Modified": modified}
        headers["Content_Length"] = claimed if claimed is not None else len(content) - start
        if start:
            headers["Content_Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        handler.start(206 if start else 200, **{k: v for k, v in headers.items() if v is not None})
        handler.wfile.write(content[start:cut])
        if stall:
            handler.server.closing.wait(10)
        return None

    return answer


def error(status: int) -> Answer:
    return lambda handler: handler.start(status, Content_Length=0)


def redirect(place: str) -> Answer:
    return lambda handler: handler.start(302, Content_Length=0, Location=place)


def silence(handler: Handler) -> None:
    handler.server.closing.wait(10)


def unframed(handler: Handler) -> None:
    handler.start(200, ETag='"one"')
    handler.wfile.write(CONTENT)


def chunked(handler: Handler, *, broken: bool = False) -> None:
    handler.start(200, Transfer_Encoding="chunked")
    for place in range(0, len(CONTENT), 100_000):
        handler.wfile.write(b"186a0\r\n" + CONTENT[place : place + 100_000] + b"\r\n")
        if broken:
            return
    handler.wfile.write(b"0\r\n\r\n")


@pytest.fixture
def site() -> Iterator[Site]:
    with Site() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.closing.set()
        server.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in list(os.environ):
        if name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("RESIDUA_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def nowhere() -> str:
    """A URL that nobody answers."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port: int = unused.getsockname()[1]
    return f"http://127.0.0.1:{port}/net.pth"


def seen(folder: Path) -> list[str]:
    """Files of the cache that are not hidden."""
    return [path.name for path in folder.rglob("*") if path.is_file() and path.name[0] != "."]


def test_a_file_is_fetched_once(site: Site, cache: Path) -> None:
    url = site.at("/models/net-abc.pth", file())
    told: list[tuple[int, int | None]] = []
    path = get(url, progress=lambda done, total: told.append((done, total)))
    assert path.read_bytes() == CONTENT
    assert path.name == "net-abc.pth"
    assert path.is_relative_to(cache)
    assert told == sorted(told)
    assert told[-1] == (len(CONTENT), len(CONTENT))
    assert get(url) == get(url, sha256=SHA256) == get(url, sha256=SHA256[:8].upper()) == path
    assert len(site.asked) == 1


def test_files_of_one_name_from_two_places_are_two(site: Site, cache: Path) -> None:
    first = get(site.at("/a/model.safetensors", file(b"a")))
    second = get(site.at("/b/model.safetensors", file(b"b")))
    assert (first.read_bytes(), second.read_bytes()) == (b"a", b"b")
    assert get(site.at("/c", file(b"c")), file_name="c.pth") == cache / "c.pth"


@pytest.mark.parametrize(
    "name",
    [
        "..",
        "%2e%2e",
        "..%2f..%2fpasswd",
        "%2fetc%2fpasswd",
        "..%5c..%5cpasswd",
        "a%00b",
        "%0a",
        ".part",
        "x" * 999,
    ],
)
def test_no_name_leaves_the_cache(site: Site, cache: Path, name: str) -> None:
    url = site.at(f"/models/{name}", file(b"content"))
    for path in (get(url), get(url, file_name=f"../{name}")):
        assert path.resolve().is_relative_to(cache.resolve())
        assert path.name[0] != "."
        assert path.read_bytes() == b"content"


def test_a_broken_download_goes_on_where_it_broke(site: Site) -> None:
    url = site.at("/net.pth", file(cut=300_000), file(cut=700_000), file())
    assert get(url).read_bytes() == CONTENT
    assert site.ranges() == [None, "bytes=300000-", "bytes=700000-"]
    assert site.statuses == [200, 206, 206]


def test_a_later_call_goes_on_too(site: Site) -> None:
    url = site.at("/net.pth", file(cut=300_000), error(500), error(500), file())
    with pytest.raises(UserError, match="answers 500"):
        get(url)
    assert get(url).read_bytes() == CONTENT
    assert site.ranges()[1:] == ["bytes=300000-"] * 3


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (file(cut=300_000, etag='"old"'), file(etag='"new"')),
        (file(b"old" * 300_000, cut=300_000, etag='"old"'), file(etag='"new"')),
        (file(cut=300_000), file(ranges=False)),
        (file(b"longer" * 200_000, cut=1_100_000), file()),  # the tag lies: 416
    ],
    ids=["changed", "other content", "ignores Range", "shorter now"],
)
def test_what_cannot_go_on_starts_over(site: Site, first: Answer, second: Answer) -> None:
    assert get(site.at("/net.pth", first, second)).read_bytes() == CONTENT
    assert site.ranges()[0] is None
    assert site.ranges()[1] is not None


@pytest.mark.parametrize(
    ("span", "tag"),
    [("bytes 1-9/10", '"one"'), ("bytes 300000-", '"one"'), ("bytes 300000-999999/1000000", '"new"')],
)
def test_a_part_that_is_not_the_one_asked_for_is_not_taken(site: Site, span: str, tag: str) -> None:
    def wrong(handler: Handler) -> None:
        handler.start(206, Content_Length=0, Content_Range=span, ETag=tag)

    assert get(site.at("/net.pth", file(cut=300_000), wrong, file())).read_bytes() == CONTENT
    assert site.ranges() == [None, "bytes=300000-", None]


@pytest.mark.parametrize("etag", [None, 'W/"weak"'])
def test_a_date_can_stand_for_a_tag_but_nothing_cannot(site: Site, etag: str | None) -> None:
    undated = site.at("/undated", file(cut=300_000, etag=etag), file(etag=etag))
    assert get(undated).read_bytes() == CONTENT
    date = "Mon, 01 Jan 2024 00:00:00 GMT"
    dated = site.at("/dated", file(cut=300_000, etag=None, modified=date), file(etag=None, modified=date))
    assert get(dated).read_bytes() == CONTENT
    assert site.ranges() == [None, None, None, "bytes=300000-"]
    assert site.statuses == [200, 200, 200, 206]


@pytest.mark.parametrize(
    "broken", [file(cut=300_000, stall=True), silence, error(500), error(503), error(429), file(cut=0)]
)
def test_a_stall_or_a_busy_server_is_tried_again(site: Site, broken: Answer) -> None:
    assert get(site.at("/net.pth", broken, file())).read_bytes() == CONTENT
    assert len(site.asked) == 2


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (file(cut=300_000, etag=None), r"ends after 300,000 of 1,000,000 bytes"),
        (file(claimed=1_000_001, etag=None), r"ends after 1,000,000 of 1,000,001 bytes"),
        (file(claimed=1_000_001), r"ends after|answers 416"),
        (file(claimed=2_000_000, etag=None, stall=True), "silent"),
        (partial(chunked, broken=True), "breaks off"),
        (silence, "silent"),
        (error(500), "answers 500"),
    ],
)
def test_what_stays_broken_is_one_sentence(site: Site, cache: Path, answer: Answer, message: str) -> None:
    url = site.at("/net.pth", answer)
    with pytest.raises(UserError, match=message) as failure:
        get(url)
    assert url in str(failure.value)
    assert "\n" not in str(failure.value)
    assert len(site.asked) == HURRIED.attempts
    assert seen(cache) == []


@pytest.mark.parametrize("status", [401, 403, 404, 410, 204])
def test_a_refusal_is_final(site: Site, status: int) -> None:
    with pytest.raises(UserError, match=f"answers {status}"):
        get(site.at("/net.pth", error(status)))
    assert len(site.asked) == 1


@pytest.mark.parametrize("answer", [file(claimed=999_999), file(b"other"), file(CONTENT + b"!"), file(b"")])
def test_wrong_bytes_are_removed(site: Site, cache: Path, answer: Answer) -> None:
    url = site.at("/net.pth", answer)
    with pytest.raises(UserError, match=f"was removed: its SHA-256 does not begin with {SHA256}"):
        get(url, sha256=SHA256)
    assert seen(cache) == []
    assert not list(cache.rglob("*.part"))
    site.at("/net.pth", file())
    assert get(url, sha256=SHA256).read_bytes() == CONTENT


def test_a_spoiled_file_in_the_cache_is_fetched_again(site: Site) -> None:
    url = site.at("/net.pth", file())
    path = get(url)
    path.write_bytes(b"spoiled")
    assert get(url).read_bytes() == b"spoiled"  # nobody said what it should be
    assert get(url, sha256=SHA256).read_bytes() == CONTENT
    assert len(site.asked) == 2


@pytest.mark.parametrize("answer", [file(), chunked, unframed])
def test_size_is_bounded_whether_the_server_says_it_or_not(site: Site, cache: Path, answer: Answer) -> None:
    url = site.at("/net.pth", answer)
    with pytest.raises(UserError, match="larger than 999,999 bytes"):
        get(url, sha256=SHA256, size_limit=999_999)
    assert not list(cache.rglob("*.part"))
    assert get(url, sha256=SHA256, size_limit=1_000_000).read_bytes() == CONTENT


def test_a_file_whose_end_nobody_knows_needs_a_hash(site: Site) -> None:
    url = site.at("/net.pth", unframed)
    with pytest.raises(UserError, match="does not say how long"):
        get(url)
    assert get(url, sha256=SHA256).read_bytes() == CONTENT
    assert get(site.at("/chunked", chunked)).read_bytes() == CONTENT


def test_redirects_are_followed(site: Site) -> None:
    site.at("/there", file())
    url = site.at("/here", redirect("/there"))
    assert get(url).read_bytes() == CONTENT
    site.at("/there", file(cut=300_000), file())
    assert get(site.at("/here/too", redirect("/there"))).read_bytes() == CONTENT
    assert site.ranges()[-2:] == ["bytes=300000-"] * 2


def test_redirects_end(site: Site) -> None:
    with pytest.raises(UserError, match="redirects without end"):
        get(site.at("/loop", redirect("/loop")))
    for step in range(20):
        site.at(f"/{step}", redirect(f"/{step + 1}"))
    with pytest.raises(UserError, match="redirects without end"):
        get(site.at("/0", redirect("/1")))
    assert len(site.asked) < 15


@pytest.mark.parametrize(
    "place", ["http://example.invalid/net.pth", "ftp://127.0.0.1/net.pth", "file:///etc/passwd", "//"]
)
def test_redirects_lead_nowhere_unsafe(site: Site, cache: Path, place: str) -> None:
    with pytest.raises(UserError, match=r"\(it redirects "):
        get(site.at("/net.pth", redirect(place)))
    assert seen(cache) == []


def test_a_redirect_to_no_url_is_an_error(site: Site) -> None:
    with pytest.raises(UserError, match="it redirects to what is no URL"):
        get(site.at("/net.pth", redirect("http://[::1")))
    assert len(site.asked) == 1


@pytest.mark.parametrize("place", ["http://127.0.0.1/a", "https://localhost/a", "http://[::1]/a"])
def test_another_host_leads_nobody_to_this_computer(place: str) -> None:
    request = Request("https://example.org/a")
    with pytest.raises(_FailedError, match="only this computer may lead there"):
        _Redirects().redirect_request(request, BytesIO(), 302, "", HTTPMessage(), place)
    assert fault(place, by="http://localhost:8000/a") is None
    assert fault("https://example.com/a", by="https://example.org/a") is None


def test_the_page_of_a_redirect_is_not_read(site: Site) -> None:
    def endless(handler: Handler) -> None:
        handler.start(302, Location="/there", Transfer_Encoding="chunked")
        while not handler.server.closing.is_set():
            handler.wfile.write(b"400\r\n" + bytes(1024) + b"\r\n")

    site.at("/there", file())
    assert get(site.at("/here", endless)).read_bytes() == CONTENT


@pytest.mark.parametrize(
    "url",
    [
        "http://example.org/net.pth",
        "http://127.0.0.1.example.org/net.pth",
        "ftp://127.0.0.1/net.pth",
        "https://user@example.org/net.pth",
        "https:///net.pth",
        "https://[::1/net.pth",
        "https://example.org:port/net.pth",
        "https://example.org/a b",
        "https://example.org/a\r\nHost: x",
        "https://example.org/é",
        "file://server/net.pth",
        "file:net.pth",
        "net.pth",
        "",
    ],
)
def test_other_urls_are_refused(url: str) -> None:
    with pytest.raises(UserError, match="is refused"):
        get(url)


def test_a_password_is_not_shown() -> None:
    with pytest.raises(UserError) as failure:
        get("https://user:secret@example.org/net.pth")
    assert "secret" not in str(failure.value)
    assert "password" in str(failure.value)


def test_a_hash_that_is_none_is_refused(site: Site) -> None:
    for sha256 in ("", "abc", "g" * 64, "a" * 65):
        with pytest.raises(UserError, match="hexadecimal"):
            get(site.at("/net.pth", file()), sha256=sha256)
    assert site.asked == []


def test_offline_the_sentence_says_where_to_put_the_file(nowhere: str) -> None:
    with pytest.raises(
        UserError, match=f"^{nowhere} cannot be downloaded .* put the file at .* by hand.$"
    ) as failure:
        get(nowhere)
    place = re.search(r"put the file at (.*) by hand", str(failure.value))
    assert place
    Path(place[1]).write_bytes(CONTENT)
    assert get(nowhere, sha256=SHA256) == Path(place[1])


def test_a_server_without_tls_is_one_sentence(site: Site) -> None:
    with pytest.raises(UserError, match="cannot be downloaded"):
        get(site.at("/net.pth", file()).replace("http:", "https:"))
    assert site.asked == []


def test_proxies_of_the_environment_are_used(
    site: Site, monkeypatch: pytest.MonkeyPatch, nowhere: str
) -> None:
    site.at(nowhere, file())
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{site.server_port}")
    assert get(nowhere).read_bytes() == CONTENT


def test_a_cache_that_cannot_be_written_is_one_sentence(site: Site, cache: Path) -> None:
    cache.write_text("not a folder")
    with pytest.raises(UserError, match="cannot be read or written"):
        get(site.at("/net.pth", file()))


def test_a_file_of_this_computer_stays_where_it_is(tmp_path: Path, cache: Path) -> None:
    path = tmp_path / "my net #1.pth"
    path.write_bytes(CONTENT)
    assert get(path.as_uri()) == get(f"file://localhost{path.as_uri()[7:]}", sha256=SHA256) == path
    with pytest.raises(UserError, match="not the expected file"):
        get(path.as_uri(), sha256="0" * 64)
    with pytest.raises(UserError, match="larger than"):
        get(path.as_uri(), size_limit=10)
    with pytest.raises(UserError, match="does not exist"):
        get((tmp_path / "other.pth").as_uri())
    assert path.read_bytes() == CONTENT
    assert not cache.exists()


FETCH = "import sys; from residua.weights.download import fetch; fetch(sys.argv[1])"
ON_A_FULL_DISK = f"import resource as r; r.setrlimit(r.RLIMIT_FSIZE, (300_000, 300_000)); {FETCH}"


def start(url: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", FETCH, url], stderr=subprocess.DEVNULL)


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGKILL])
def test_a_stopped_process_leaves_a_part_that_the_next_one_resumes(
    site: Site, cache: Path, stop: signal.Signals
) -> None:
    url = site.at("/net.pth", file(cut=600_000, stall=True), file())
    with start(url) as process:
        wait_until(lambda: any(part.stat().st_size for part in cache.rglob("*.part")))
        process.send_signal(stop)
    assert process.returncode != 0
    assert seen(cache) == []
    assert get(url).read_bytes() == CONTENT
    resumed = re.fullmatch(r"bytes=(\d+)-", site.ranges()[1] or "")
    assert resumed
    assert 0 < int(resumed[1]) <= 600_000


def test_an_exception_in_the_progress_leaves_a_part_too(site: Site) -> None:
    def interrupt(done: int, total: int | None) -> None:
        raise KeyboardInterrupt

    url = site.at("/net.pth", file())
    with pytest.raises(KeyboardInterrupt):
        get(url, progress=interrupt)
    assert get(url).read_bytes() == CONTENT
    assert site.ranges()[1] is not None


def test_a_full_disk_is_one_sentence_and_tried_once(site: Site, cache: Path) -> None:
    command = [sys.executable, "-c", ON_A_FULL_DISK, site.at("/net.pth", file())]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "UserError" in result.stderr
    assert "cannot be read or written in the cache: File too large." in result.stderr
    assert seen(cache) == []
    assert len(site.asked) == 1


def test_two_processes_at_once_fetch_once(site: Site, cache: Path) -> None:
    def slow(handler: Handler) -> None:
        time.sleep(0.5)
        file()(handler)

    url = site.at("/net.pth", slow)
    with start(url) as first, start(url) as second:
        path = fetch(url, sha256=SHA256)
        assert path.read_bytes() == CONTENT
    assert first.returncode == second.returncode == 0
    assert len(site.asked) == 1
    assert seen(cache) == ["net.pth"]


def test_threads_at_once_fetch_once_and_broken_ones_take_turns(site: Site) -> None:
    url = site.at("/net.pth", *[file(cut=place * 100_000) for place in range(6)], file())

    def attempt(_: int) -> Path | None:
        try:
            return get(url, sha256=SHA256)
        except UserError:
            return None

    with ThreadPoolExecutor(4) as pool:
        paths = [path for path in pool.map(attempt, range(4)) if path]
    assert len(set(paths)) == 1
    assert file_sha256(paths[0]) == SHA256
    assert len(site.asked) == 7


def wait_until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.01)


@pytest.fixture
def hub(site: Site, monkeypatch: pytest.MonkeyPatch) -> Site:
    """A Hugging Face with one repository."""
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{site.server_port}")
    site.at("/microsoft/resnet-50/resolve/main/config.json", file(b"{}"))
    site.at("/microsoft/resnet-50/resolve/main/model.safetensors", file())
    return site


def test_a_repository_is_a_folder(hub: Site, cache: Path) -> None:
    hub.at("/microsoft/resnet-50/resolve/main/preprocessor_config.json", file(b"[]"))
    folder = get_repository("microsoft/resnet-50", sha256=SHA256)
    assert folder.is_relative_to(cache)
    assert (folder / "config.json").read_bytes() == b"{}"
    assert (folder / "preprocessor_config.json").read_bytes() == b"[]"
    assert (folder / "model.safetensors").read_bytes() == CONTENT
    assert get_repository("microsoft/resnet-50") == folder
    assert len(hub.asked) == 3


def test_a_repository_without_preprocessor_works_offline_later(hub: Site) -> None:
    folder = get_repository("microsoft/resnet-50")
    assert seen(folder) != []
    assert not (folder / "preprocessor_config.json").exists()
    asked = len(hub.asked)
    assert get_repository("microsoft/resnet-50@main") == folder
    assert len(hub.asked) == asked == 3


def test_revisions_are_told_apart(hub: Site) -> None:
    hub.at("/microsoft/resnet-50/resolve/refs%2Fpr%2F1/config.json", file(b"{}"))
    hub.at("/microsoft/resnet-50/resolve/refs%2Fpr%2F1/model.safetensors", file(b"new"))
    old, new = get_repository("microsoft/resnet-50"), get_repository("microsoft/resnet-50@refs/pr/1")
    assert (old / "model.safetensors").read_bytes() == CONTENT
    assert (new / "model.safetensors").read_bytes() == b"new"


def test_a_failing_optional_file_is_not_taken_for_an_absent_one(hub: Site) -> None:
    hub.at("/microsoft/resnet-50/resolve/main/preprocessor_config.json", error(500))
    with pytest.raises(UserError, match="answers 500"):
        get_repository("microsoft/resnet-50")


def test_a_huge_configuration_is_refused(hub: Site) -> None:
    hub.at("/microsoft/resnet-50/resolve/main/config.json", file(claimed=20_000_000))
    with pytest.raises(UserError, match="larger than 10,000,000 bytes"):
        get_repository("microsoft/resnet-50")


@pytest.mark.parametrize(
    "repository",
    [
        "resnet-50",
        "../etc",
        "a/..",
        "a/b/c",
        "a/b@..",
        "a/b@../c",
        "a/b@",
        "a b/c",
        "https://a/b",
        "",
        "a/b@x\n",
    ],
)
def test_other_repository_names_are_refused(repository: str) -> None:
    with pytest.raises(UserError, match="must be owner/name"):
        get_repository(repository)


def test_a_missing_repository_and_an_unsafe_mirror_are_one_sentence(
    hub: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UserError, match="answers 404"):
        get_repository("nobody/nothing")
    monkeypatch.setenv("HF_ENDPOINT", "http://example.org")
    with pytest.raises(UserError, match="is refused"):
        get_repository("microsoft/resnet-50")


@pytest.mark.parametrize(
    ("platform", "variables", "folder"),
    [
        ("linux", {"RESIDUA_CACHE": "/there"}, "/there"),
        ("linux", {"RESIDUA_CACHE": "~/there"}, "/home/me/there"),
        ("linux", {}, "/home/me/.cache/residua"),
        ("linux", {"XDG_CACHE_HOME": "/xdg"}, "/xdg/residua"),
        ("linux", {"XDG_CACHE_HOME": "relative"}, "/home/me/.cache/residua"),
        ("darwin", {"XDG_CACHE_HOME": "/xdg"}, "/home/me/Library/Caches/residua"),
        ("win32", {"LOCALAPPDATA": "/local"}, "/local/residua"),
        ("win32", {}, "/home/me/AppData/Local/residua"),
    ],
)
def test_the_cache_is_where_the_system_wants_it(
    monkeypatch: pytest.MonkeyPatch, platform: str, variables: dict[str, str], folder: str
) -> None:
    for name in ("RESIDUA_CACHE", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    for name, value in ({"HOME": "/home/me"} | variables).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "platform", platform)
    assert cache_folder() == Path(folder)


def test_without_a_home_the_cache_must_be_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def homeless() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("RESIDUA_CACHE")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(Path, "home", homeless)
    with pytest.raises(UserError, match="set RESIDUA_CACHE"):
        cache_folder()
