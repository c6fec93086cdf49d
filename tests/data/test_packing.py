"""Packed data: what goes in comes out, and no crash, crowd, flip or lie passes for it."""

import hashlib
import json
import os
import pickle
import shutil
import subprocess
import sys
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from safetensors.numpy import load_file

from residua.data.dataset import Data, Needed, Pixels
from residua.data.facts import BadImageError, Facts
from residua.data.packing import paying
from residua.data.packing.packed import HEADER, Layout, is_pack, open_pack
from residua.data.packing.paying import pays
from residua.data.packing.writing import pack
from residua.data.pictures import Arrays, Files
from residua.errors import UserError
from residua.files import claimed

NAMES = ("a.png", "b\udcff.png", "line\nbreak.png", "=cmd.png", "<script>.png", "../up.png", "ü.png")
SIZES = ((20, 30), (30, 20), (1, 1), (40, 40), (7, 90), (13, 17), (15, 24))


class Mixed:
    """Pictures of several sizes in memory."""

    uniform = None

    def __init__(self, pixels: list[Pixels]) -> None:
        self.pixels = pixels

    def read(self, place: int, channels: str = "rgb", needed: Needed | None = None) -> Pixels:  # noqa: ARG002
        return Arrays(self.pixels[place][None]).read(0, channels)

    def examine(self, place: int) -> Facts:
        return Arrays(self.pixels[place][None]).examine(0)


def mixed(sizes: tuple[tuple[int, int], ...] = SIZES, channels: int = 3) -> Data:
    random = np.random.default_rng(0)
    count = len(sizes)
    return Data(
        where="somewhere",
        kind="folder",
        classes=("cat", "dog\udcff"),
        names=NAMES if count == len(NAMES) else [f"{place}.png" for place in range(count)],
        labels=np.arange(count, dtype=np.int32) % 2,
        parts=(np.arange(count) % 4 - 1).astype(np.int8),
        pictures=Mixed([random.integers(0, 256, (*size, channels), np.uint8) for size in sizes]),
        groups=[f"group {place // 2}" for place in range(count)],
    )


@pytest.fixture
def packed(tmp_path: Path) -> Path:
    pack(mixed(), tmp_path / "data.safetensors")
    return tmp_path / "data.safetensors"


@given(
    sizes=st.lists(st.tuples(st.integers(1, 9), st.integers(1, 9)), min_size=1, max_size=6),
    channels=st.sampled_from([("gray", 1), ("rgb", 3), ("rgba", 4)]),
)
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_goes_in_comes_out(
    tmp_path: Path, sizes: list[tuple[int, int]], channels: tuple[str, int]
) -> None:
    data = mixed(tuple(sizes), channels[1])
    out = tmp_path / "data"
    out.unlink(missing_ok=True)
    found = pack(data, out, channels=channels[0], workers=2)
    assert (found.kind, found.where) == ("packed", str(out))
    assert (list(found.names), found.classes, found.groups) == (list(data.names), data.classes, data.groups)
    assert (found.labels == data.labels).all()
    assert (found.parts == data.parts).all()
    for place in range(len(data)):
        for wanted in ("gray", "rgb", "rgba"):
            assert (found.read(place, wanted) == data.read(place, wanted)).all()
        assert found.examine(place).digest == data.examine(place).digest
    table = found.pictures.uniform
    assert (table is None) == (len(set(sizes)) > 1)
    if table is not None:
        assert (table == np.stack([data.read(place, channels[0]) for place in range(len(data))])).all()


def test_names_of_any_bytes_survive(packed: Path) -> None:
    found = open_pack(packed)
    assert tuple(found.names) == NAMES
    assert found.classes == ("cat", "dog\udcff")


@pytest.mark.parametrize("channels", ["rgb", "gray", "rgba"])
def test_the_shorter_side_becomes_what_is_asked_for_and_never_longer(tmp_path: Path, channels: str) -> None:
    data = mixed()
    found = pack(data, tmp_path / "out", side=16, channels=channels)
    assert [found.read(place).shape[:2] for place in range(7)] == [
        (16, 24), (24, 16), (1, 1), (16, 16), (7, 90), (13, 17), (15, 24),
    ]  # fmt: skip
    image = Image.fromarray(data.read(1, channels).squeeze())
    by_hand = np.asarray(image.resize((16, 24), Image.Resampling.BILINEAR)).reshape(24, 16, -1)
    assert (found.read(1, channels) == by_hand).all()


def test_only_what_is_kept_is_packed(tmp_path: Path) -> None:
    data = mixed()
    found = pack(data.keep(np.array([4, 1])), tmp_path / "out")
    assert list(found.names) == [NAMES[4], NAMES[1]]
    assert (found.read(1) == data.read(1)).all()


def test_the_number_of_workers_leaves_no_trace(tmp_path: Path) -> None:
    files = [tmp_path / str(workers) for workers in (0, 1, 5)]
    for workers, file in zip((0, 1, 5), files, strict=True):
        pack(mixed(), file, side=10, workers=workers)
    assert len({file.read_bytes() for file in files}) == 1


def test_progress_counts_every_picture(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    pack(mixed(), tmp_path / "out", progress=lambda done, total: seen.append((done, total)))
    assert seen == [(done, 7) for done in range(1, 8)]


def test_any_safetensors_reader_opens_it(packed: Path) -> None:
    tensors = load_file(packed)
    assert set(tensors) == {"pixels", "offsets", "sizes", "labels", "checks", "parts", "facts"}
    assert json.loads(tensors["facts"].tobytes())["names"] == list(NAMES)
    data = mixed()
    for place, (height, width) in enumerate(tensors["sizes"]):
        start, end = tensors["offsets"][place : place + 2]
        pixels = tensors["pixels"][start:end].reshape(height, width, 3)
        assert (pixels == data.read(place)).all()
        assert zlib.crc32(pixels.tobytes()) == tensors["checks"][place]


def test_what_cannot_be_packed_is_said_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "bad.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    bad = replace(mixed(((1, 1),)), pictures=Files(tmp_path / "photos", ["bad.png"]))
    out = tmp_path / "out"
    for data, options, message in (
        (bad, {}, "'bad.png' cannot be read"),
        (mixed(()), {}, "'somewhere' has no pictures"),
        (mixed(), {"side": 0}, "side=0 is not valid"),
        (mixed(), {"channels": "cmyk"}, "channels='cmyk' is not valid"),
    ):
        with pytest.raises(UserError, match=message):
            pack(data, out, **options)
    with pytest.raises(UserError, match="cannot be written: No such file"):
        pack(mixed(), tmp_path / "none" / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["photos"]


@pytest.mark.parametrize("out", ["", ".", "/"])
def test_a_folder_is_no_name_for_a_file(out: str) -> None:
    with pytest.raises(UserError, match="is a folder: name a file"):
        pack(mixed(), out)


def test_a_lock_that_vanishes_while_it_is_taken_is_taken_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever had it removes it when done."""
    vanish = [tmp_path / ".out.lock"]

    def late(handle: int, stat: Callable[[int], os.stat_result] = os.fstat) -> os.stat_result:
        if vanish:
            vanish.pop().unlink()
        return stat(handle)

    monkeypatch.setattr("residua.files.os.fstat", late)
    with claimed(tmp_path / "out"):
        assert not vanish and (tmp_path / ".out.lock").exists()


def test_a_file_that_exists_stays(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.write_text("mine")
    with pytest.raises(UserError, match="exists"):
        pack(mixed(), out)
    assert out.read_text() == "mine"
    assert list(tmp_path.iterdir()) == [out]


def test_a_file_that_appears_meanwhile_stays(tmp_path: Path) -> None:
    out = tmp_path / "out"

    def write(*_: int) -> None:
        out.write_text("mine")

    with pytest.raises(UserError, match="exists"):
        pack(mixed(), out, progress=write)
    assert out.read_text() == "mine"
    assert list(tmp_path.iterdir()) == [out]


def test_too_little_space_is_said_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(tmp_path)._replace(free=5_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    with pytest.raises(UserError, match=r"would take about 52.5 KB, its disk has 5.0 KB free"):
        pack(mixed(((50, 50),) * 7), tmp_path / "out")
    assert not list(tmp_path.iterdir())


def test_two_cannot_write_one_file(tmp_path: Path) -> None:
    with claimed(tmp_path / "out"), pytest.raises(UserError, match=r"being written by .*process"):
        pack(mixed(), tmp_path / "out")
    pack(mixed(), tmp_path / "out")
    assert len(list(tmp_path.iterdir())) == 1


def test_only_what_is_its_own_is_removed(tmp_path: Path) -> None:
    others = [".out.more.0123abcd.part", ".out.part", "out.0123abcd.part", ".other.0123abcd.part"]
    for name in (*others, ".out.0123abcd.part"):
        (tmp_path / name).touch()
    pack(mixed(), tmp_path / "out")
    assert {path.name for path in tmp_path.iterdir()} == {"out", *others}


# The process kills itself: after each of 14 pictures, and before and after each step that ends the writing.
KILLED = """
import os, signal, sys
from pathlib import Path
from residua.data.sources.listing import list_pictures
from residua.data.packing.writing import pack
from residua.data.sources.recognition import open_data
folder, out = Path(sys.argv[1]), Path(sys.argv[2])
data = open_data(folder)

def die(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)

def run(moment):
    progress = lambda done, total: done == moment and die()
    if moment == 15: os.fsync = die
    if moment == 16: os.replace = os.rename = die; Path.replace = die
    if moment == 17:
        replace = Path.replace
        Path.replace = lambda *a: (replace(*a), die())
    if moment == 18: Path.unlink = die
    if moment == 19: os.close = die
    pack(data, out, side=8, progress=progress)
    os._exit(0)

pack(data, out, side=8)
whole = out.read_bytes()
for moment in range(20):
    out.unlink()
    child = os.fork()
    if not child:
        run(moment)
    killed = os.waitpid(child, 0)[1] == signal.SIGKILL
    assert killed or not moment, moment
    if out.exists():
        assert out.read_bytes() == whole, moment
        out.unlink()
    pack(data, out, side=8)
    assert out.read_bytes() == whole, moment
    assert list(out.parent.iterdir()) == [out], moment
assert "torch" not in sys.modules
print("survived")
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    random = np.random.default_rng(0)
    for place in range(14):
        path = tmp_path / "photos" / "ab"[place % 2] / f"{place}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(random.integers(0, 256, (12, 9 + place, 3), np.uint8)).save(path)
    (tmp_path / "target").mkdir()
    return tmp_path


def run(code: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-W", "error", "-c", code, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def test_whatever_the_moment_of_a_kill_the_next_run_writes_the_same(folder: Path) -> None:
    result = run(KILLED, folder / "photos", folder / "target" / "out")
    assert result.stdout == "survived\n", result.stderr


FULL = """
import resource, sys
from residua.data.packing.writing import pack
from residua.data.sources.recognition import open_data
from residua.errors import UserError
from pathlib import Path
data = open_data(sys.argv[1])
resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000))
try:
    pack(data, Path(sys.argv[2]))
except UserError as error:
    print(error)
"""


def test_a_full_disk_leaves_nothing(folder: Path) -> None:
    out = folder / "target" / "out"
    assert run(FULL, folder / "photos", out).stdout == f"{out} cannot be written: File too large.\n"
    assert not list(out.parent.iterdir())


READING = """
import hashlib, pickle, sys
data = pickle.load(sys.stdin.buffer)
for _ in range(20):
    pixels = b"".join(data.read(place).tobytes() for place in range(len(data)))
print(hashlib.sha256(pixels).hexdigest())
"""


def test_processes_share_it(packed: Path) -> None:
    data = open_pack(packed)
    readers = [
        subprocess.Popen([sys.executable, "-c", READING], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        for _ in range(2)
    ]
    whole = b"".join(data.read(place).tobytes() for place in range(len(data)))
    for reader in readers:
        found, _ = reader.communicate(pickle.dumps(data))
        assert found.decode().strip() == hashlib.sha256(whole).hexdigest()


def test_data_packed_anew_is_not_taken_for_the_old(packed: Path) -> None:
    travelling = pickle.dumps(open_pack(packed))
    packed.unlink()
    pack(mixed(SIZES[::-1]), packed)
    with pytest.raises(UserError, match="packed anew"):
        pickle.loads(travelling)  # noqa: S301 - our own


def test_pixels_cannot_be_written(packed: Path) -> None:
    with pytest.raises(ValueError, match="read-only"):
        open_pack(packed).read(0)[:] = 0


def test_every_flipped_bit_is_found(packed: Path) -> None:
    whole = bytearray(packed.read_bytes())
    pixels = range(HEADER, HEADER + sum(h * w * 3 for h, w in SIZES))
    random = np.random.default_rng(0)
    for place in [*range(0, HEADER, 9), *random.choice(pixels, 50), *range(pixels.stop, len(whole))]:
        whole[place] ^= 1 << place % 8
        packed.write_bytes(whole)
        if place in pixels:
            data = open_pack(packed)
            faults = 0
            for picture in range(len(data)):
                try:
                    data.examine(picture)
                except BadImageError as error:
                    assert error.name in NAMES
                    faults += 1
            assert faults == 1
        else:
            with pytest.raises(UserError, match=r"damaged|no packed data|version"):
                open_pack(packed)
        whole[place] ^= 1 << place % 8


def test_a_file_that_is_cut_off_is_refused(packed: Path) -> None:
    whole = packed.read_bytes()
    for length in np.linspace(0, len(whole) - 1, 100).astype(int):
        packed.write_bytes(whole[:length])
        with pytest.raises(UserError, match=r"damaged|no packed data"):
            open_pack(packed)
    packed.write_bytes(whole + b"\0")
    with pytest.raises(UserError, match="damaged"):
        open_pack(packed)


def forged(path: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Write a file that agrees with itself about a lie."""
    tensors: dict[str, Any] = dict(load_file(path))
    change(tensors)
    order = ("offsets", "sizes", "labels", "checks", "parts", "facts")
    rest = b"".join(tensors[name].tobytes() for name in order)
    count = len(tensors["labels"])
    pixels = sum(height * width * 3 for height, width in SIZES) + tensors.get("more", 0)
    layout = Layout(count, 3, pixels if count else 0, tensors["facts"].size, 0)
    rest = bytes(layout.padding) + rest
    start = tensors["pixels"].tobytes()[: layout.pixels]
    path.write_bytes(replace(layout, checksum=zlib.crc32(rest)).header() + start + rest)


def lie(name: str, place: Any, value: Any) -> Callable[[dict[str, Any]], None]:
    return lambda tensors: tensors[name].__setitem__(place, value)


def facts(**changes: Any) -> Callable[[dict[str, Any]], None]:
    def change(tensors: dict[str, Any]) -> None:
        text = json.dumps(json.loads(tensors["facts"].tobytes()) | changes).encode()
        tensors["facts"] = np.frombuffer(text, np.uint8)

    return change


def text(content: bytes) -> Callable[[dict[str, Any]], None]:
    return lambda tensors: tensors.update(facts=np.frombuffer(content, np.uint8))


def more_pixels(tensors: dict[str, Any]) -> None:
    tensors.update(more=1)


def nothing(tensors: dict[str, Any]) -> None:
    empty = {name: tensors[name][:0] for name in ("pixels", "sizes", "labels", "checks", "parts")}
    tensors.update(empty, offsets=tensors["offsets"][:1])
    facts(names=[], groups=[])(tensors)


def swap(tensors: dict[str, Any]) -> None:
    tensors["offsets"][[2, 3]] = tensors["offsets"][[3, 2]]


@pytest.mark.parametrize(
    "change",
    [
        lie("offsets", 0, 3),
        lie("offsets", 2, -1),
        lie("offsets", -1, 2**62),
        lie("offsets", slice(None), 0),
        swap,
        lie("sizes", (0, 0), 0),
        lie("sizes", (0, 0), -20),
        lie("sizes", 0, (-20, -30)),
        lie("sizes", 0, (30, 20 + 1)),
        lie("sizes", 0, 2**31 - 1),
        lie("labels", 0, 2),
        lie("labels", 0, -1),
        lie("parts", 0, 3),
        lie("parts", 0, -2),
        more_pixels,
        nothing,
        facts(names=list(NAMES[1:])),
        facts(names=[NAMES[0], *NAMES[:-1]]),
        facts(names=[*NAMES[1:], 7]),
        facts(names="abcdefg"),
        facts(groups=["one"]),
        facts(groups=7),
        facts(classes=["cat", "cat"]),
        facts(classes=None),
        text(b"[]"),
        text(b"{}"),
        text(b"[" * 100_000),
        text(b"\xff\xfe"),
    ],
)
def test_lies_are_refused(packed: Path, change: Callable[[dict[str, Any]], None]) -> None:
    forged(packed, facts())
    open_pack(packed)  # a forged file without a lie is fine
    forged(packed, change)
    with pytest.raises(UserError, match="damaged"):
        open_pack(packed)


def test_a_newer_version_asks_for_an_upgrade(packed: Path) -> None:
    packed.write_bytes(packed.read_bytes().replace(b'pack":"1 ', b'pack":"2 '))
    with pytest.raises(UserError, match=r"version 2.*upgrade"):
        open_pack(packed)


def test_other_files_are_no_packs(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "text").write_text("no")
    for path in (tmp_path, tmp_path / "none", tmp_path / "pipe", tmp_path / "text", Path("nul\0")):
        assert not is_pack(path)
        with pytest.raises(UserError, match="no packed data"):
            open_pack(path)


def clock(monkeypatch: pytest.MonkeyPatch, decoding: float, syncing: float = 0) -> Data:
    """Give data whose pictures take so long to decode, on a clock that only that and syncing move."""
    data = mixed(((40, 30),) * 30)
    now = 0.0

    class Slow(Mixed):
        def read(self, place: int, channels: str = "rgb", needed: Needed | None = None) -> Pixels:
            nonlocal now
            now += decoding
            return super().read(place, channels, needed)

    def slowly(handle: int, sync: Callable[[int], None] = os.fsync) -> None:
        nonlocal now
        now += syncing
        sync(handle)

    assert isinstance(data.pictures, Mixed)
    monkeypatch.setattr(paying.time, "perf_counter", lambda: now)  # type: ignore[attr-defined]
    monkeypatch.setattr(paying.os, "fsync", slowly)  # type: ignore[attr-defined]
    monkeypatch.setattr(paying, "processors", lambda: 2)
    return replace(data, pictures=Slow(data.pictures.pixels))


def test_packing_pays_from_the_second_epoch_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = clock(monkeypatch, decoding=10)
    once, often = pays(data, None, 1, tmp_path), pays(data, None, 90, tmp_path)
    assert (once.pack, once.sentence) == (False, "Not packed: 1 epoch would win no time.")
    assert (often.pack, often.size, often.saved) == (True, 30 * 40 * 30 * 3, 30 * 10 * 89 / 2)
    assert often.sentence == "Packed: 108.0 KB, which saves about 4 hours in 90 epochs."
    assert not list(tmp_path.iterdir())


def test_the_time_to_sync_counts_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Small pictures are written together: a slow sync after each few of them would forbid any packing."""
    data = clock(monkeypatch, decoding=0.001, syncing=0.05)
    assert pays(data, None, 4, tmp_path).pack


def test_where_nothing_can_be_written_nothing_is_packed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    verdict = pays(clock(monkeypatch, decoding=10), None, 90, tmp_path / "none")
    assert not verdict.pack and "none' cannot be written: No such file" in verdict.sentence


def test_a_containers_limit_is_its_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    limits = (tmp_path / "none", tmp_path / "max", tmp_path / "limit")
    limits[1].write_text("max\n")
    monkeypatch.setattr(paying, "CONTAINER", limits)
    machine = paying._memory()
    limits[2].write_text("150000\n")
    assert (paying._memory(), machine > 150_000) == (150_000, True)


def test_what_does_not_fit_is_not_packed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = clock(monkeypatch, decoding=10)
    monkeypatch.setattr(paying, "_memory", lambda: 150_000)
    assert (
        pays(data, None, 90, tmp_path).sentence
        == "Not packed: 108.0 KB are more than half of the 150.0 KB of memory."
    )
    usage = shutil.disk_usage(tmp_path)._replace(free=200_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    verdict = pays(data, None, 90, tmp_path)
    assert not verdict.pack
    assert f"that are free in {str(tmp_path)!r}" in verdict.sentence


def test_what_is_decoded_already_is_not_packed(tmp_path: Path, packed: Path) -> None:
    arrays = replace(mixed(((4, 4),)), pictures=Arrays(np.zeros((1, 4, 4, 3), np.uint8)))
    for data in (arrays, open_pack(packed)):
        assert not pays(data, None, 90, tmp_path).pack
