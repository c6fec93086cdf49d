"""Every kind of file gives the right pixels, whole and upright, or says why not."""

import os
import struct
import subprocess
import sys
import threading
import warnings
import zlib
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageFile

from residua import UserError
from residua.data import opening
from residua.data.dataset import Pixels
from residua.data.decoding import decode, examine
from residua.data.facts import TRAITS, BadImageError
from residua.data.pictures import Arrays, Files


def photo(width: int = 40, height: int = 30) -> Image.Image:
    """Smooth colours that differ at every corner."""
    y, x = np.mgrid[0:height, 0:width]
    red, green = 255 * x / width, 255 * y / height
    return Image.fromarray(np.stack([red, green, 255 - red / 2 - green / 2], 2).astype(np.uint8))


def saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    file = BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def near(found: Pixels, expected: Image.Image, levels: int = 0) -> bool:
    difference = found.astype(int) - np.asarray(expected).reshape(found.shape).astype(int)
    return found.dtype == np.uint8 and bool(np.abs(difference).max() <= levels)


def why(source: Path | bytes) -> str:
    with pytest.raises(BadImageError) as decoded:
        decode(source, "x\udcff\n")
    with pytest.raises(BadImageError) as examined:
        examine(source, "x\udcff\n")
    assert decoded.value.reason == examined.value.reason and isinstance(decoded.value, UserError)
    assert str(decoded.value) == f"'x\\udcff\\n' cannot be read: {decoded.value.reason}."
    return decoded.value.reason


LOSSLESS = ("PNG", "TIFF", "BMP", "PPM", "WEBP", "GIF")


@pytest.mark.parametrize("kind", LOSSLESS)
def test_one_picture_is_the_same_in_every_container(kind: str) -> None:
    image = photo().quantize(200).convert("RGB")  # few enough colours for a GIF
    data = saved(image, kind, **({"lossless": True} if kind == "WEBP" else {}))
    assert near(decode(data, "x"), image)
    facts = examine(data, "x")
    assert (facts.width, facts.height) == (40, 30)
    assert facts.digest == examine(saved(image, "PNG"), "x").digest
    assert facts.traits == (("palette",) if kind == "GIF" else ())


@pytest.mark.parametrize(
    ("mode", "kind", "traits"),
    [
        ("1", "PNG", "grayscale"),
        ("L", "PNG", "grayscale"),
        ("L", "JPEG", "grayscale"),
        ("L", "PPM", "grayscale"),
        ("1", "PPM", "grayscale"),
        ("P", "PNG", "palette"),
        ("P", "BMP", "palette"),
        ("LA", "PNG", "grayscale transparent"),
        ("RGBA", "PNG", "transparent"),
        ("RGBA", "TIFF", "transparent"),
        ("CMYK", "JPEG", "cmyk"),
        ("CMYK", "TIFF", "cmyk"),
        ("YCbCr", "TIFF", ""),
        ("LAB", "TIFF", ""),
    ],
)
def test_every_mode_becomes_rgb_gray_and_rgba(mode: str, kind: str, traits: str) -> None:
    image = photo().convert(mode) if mode != "LAB" else as_lab(photo())
    data = saved(image, kind, **({"lossless": True} if kind == "WEBP" else {}))
    loose = 6 if kind == "JPEG" else 0
    expected = image.convert("RGB")
    assert near(decode(data, "x", "rgb"), expected, loose)
    assert near(decode(data, "x", "gray"), expected.convert("L"), loose)
    assert near(decode(data, "x", "rgba"), expected.convert("RGBA"), loose)
    assert [decode(data, "x", channels).shape for channels in ("rgb", "gray", "rgba")] == [
        (30, 40, count) for count in (3, 1, 4)
    ]
    assert examine(data, "x").traits == tuple(traits.split()) and set(traits.split()) <= set(TRAITS)


def as_lab(image: Image.Image) -> Image.Image:
    return image.convert("LAB")


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF"])
def test_what_is_transparent_shows_white(kind: str) -> None:
    image = photo().convert("RGBA")
    alpha = np.tile(np.arange(40, dtype=np.uint8) * 6, (30, 1))
    image.putalpha(Image.fromarray(alpha))
    data = saved(image, kind, **({"lossless": True, "exact": True} if kind == "WEBP" else {}))
    part = alpha[..., None] / 255
    expected = np.asarray(photo()) * part + 255 * (1 - part)
    assert np.abs(decode(data, "x") - expected).max() <= 1
    assert np.array_equal(decode(data, "x", "rgba"), np.asarray(image))
    assert np.abs(decode(data, "x", "gray")[..., 0] - expected @ [0.299, 0.587, 0.114]).max() <= 2


@pytest.mark.parametrize("transparency", [b"\0\x80\xff", 1], ids=["a table", "one colour"])
def test_transparent_palettes_and_colours(transparency: Any) -> None:
    image = Image.new("P", (3, 1))
    image.putpalette([0, 0, 0, 100, 100, 100, 200, 200, 200])
    image.putdata([0, 1, 2])
    found = decode(saved(image, "PNG", transparency=transparency), "x", "gray")[0, :, 0].tolist()
    assert found == ([255, 177, 200] if isinstance(transparency, bytes) else [0, 255, 200])
    gray = Image.fromarray(np.array([[0, 1, 2]], dtype=np.uint8))
    assert decode(saved(gray, "PNG", transparency=1), "x")[0, :, 0].tolist() == [0, 255, 2]
    colour = Image.fromarray(np.array([[[9, 9, 9], [1, 2, 3]]], dtype=np.uint8))
    assert decode(saved(colour, "PNG", transparency=(1, 2, 3)), "x")[0, :, 2].tolist() == [9, 255]
    deep = Image.fromarray(np.array([[0, 257 * 50, 65535]], dtype=np.uint16))
    assert decode(saved(deep, "PNG", transparency=257 * 50), "x")[0, :, 0].tolist() == [0, 255, 255]


def test_an_opaque_alpha_changes_nothing_but_is_said() -> None:
    plain, alpha = saved(photo(), "PNG"), saved(photo().convert("RGBA"), "PNG")
    assert examine(plain, "x").digest == examine(alpha, "x").digest
    assert examine(alpha, "x").traits == ("transparent",)
    clear = photo().convert("RGBA")
    clear.putpixel((0, 0), (1, 2, 3, 0))
    assert examine(saved(clear, "PNG"), "x").digest != examine(plain, "x").digest


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "PPM"])
def test_sixteen_bits_are_scaled(kind: str) -> None:
    values = np.linspace(0, 65535, 1200).astype(np.uint16).reshape(30, 40)
    found = decode(saved(Image.fromarray(values), kind), "x", "gray")[..., 0]
    assert np.array_equal(found, np.rint(values / 257)) and abs(found.mean() - 127.5) < 1
    assert "16-bit" in examine(saved(Image.fromarray(values), kind), "x").traits


def png(header: bytes, body: bytes) -> bytes:
    """Write a PNG of chunks that Pillow would not write."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def test_sixteen_bits_of_colour_are_scaled() -> None:
    values = np.linspace(0, 65535, 90).astype(">u2").reshape(5, 6, 3)
    rows = b"".join(b"\0" + row.tobytes() for row in values)
    data = png(struct.pack(">IIBBBBB", 6, 5, 16, 2, 0, 0, 0), zlib.compress(rows))
    assert np.abs(decode(data, "x") - values / 257).max() <= 1 and examine(data, "x").traits == ("16-bit",)
    pnm = b"P6 6 5 65535\n" + values.tobytes()
    assert np.abs(decode(pnm, "x") - values / 257).max() <= 1 and examine(pnm, "x").traits == ("16-bit",)


def test_values_without_a_range_are_bad() -> None:
    assert "fractions" in why(saved(Image.new("F", (4, 4), 0.5), "TIFF"))
    assert "beyond 16 bits" in why(saved(Image.new("I", (4, 4), 70_000), "TIFF"))
    assert "beyond 16 bits" in why(saved(Image.new("I", (4, 4), -1), "TIFF"))


def test_a_tiff_of_countless_strips_is_refused() -> None:
    numbers = {256: 1, 257: 9, 258: 8, 259: 1, 262: 1, 277: 1, 278: 1, 279: 1}  # tag: value
    entries = [(tag, 4, 1, value) for tag, value in numbers.items()] + [(273, 4, 250_001, 200)]
    header = b"II*\0" + struct.pack("<IH", 8, len(entries))
    header += b"".join(struct.pack("<HHII", *entry) for entry in sorted(entries)) + bytes(4)
    assert "more pieces than any photo's" in why(header.ljust(200, b"\0") + bytes(4 * 250_001))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "MPO"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_all_orientations_are_turned_upright(kind: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    quality: dict[str, Any] = {"PNG": {}, "TIFF": {}, "WEBP": {"lossless": True}}
    data = saved(photo(), kind, exif=exif, **quality.get(kind, {"quality": 95}))
    rows = np.asarray(photo())
    turned = {
        1: rows,
        2: rows[:, ::-1],
        3: rows[::-1, ::-1],
        4: rows[::-1],
        5: rows.transpose(1, 0, 2),
        6: rows.transpose(1, 0, 2)[:, ::-1],
        7: rows[::-1, ::-1].transpose(1, 0, 2),
        8: rows.transpose(1, 0, 2)[::-1],
    }[orientation]
    assert near(decode(data, "x"), Image.fromarray(turned), 8)
    facts = examine(data, "x")
    assert (facts.height, facts.width) == turned.shape[:2]
    assert ("rotated" in facts.traits) == (orientation != 1)


@pytest.mark.parametrize(
    "exif", [b"Exif\0\0", b"Exif\0\0II*\0\xff\xff\xff\xff", b"Exif\0\0MM\0*" + b"\x7f" * 60]
)
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_broken_exif_does_not_make_a_picture_bad(exif: bytes, kind: str) -> None:
    whole = saved(photo(), kind)
    assert np.array_equal(decode(saved(photo(), kind, exif=exif), "x"), decode(whole, "x"))
    assert examine(saved(photo(), kind, exif=exif), "x") == examine(whole, "x")


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "TIFF"])
def test_of_an_animation_the_first_frame_is_used(kind: str) -> None:
    first, second = photo().quantize(200).convert("RGB"), Image.new("RGB", (40, 30), "red")
    options = {"lossless": True} if kind == "WEBP" else {}
    data = saved(first, kind, save_all=True, append_images=[second], **options)
    assert near(decode(data, "x"), first)
    assert "animated" in examine(data, "x").traits


@pytest.mark.parametrize(
    ("kind", "right", "wrong"),
    [
        ("JPEG", ["a.jpg", "a.JPEG", "a.jpe", "a.mpo", "a"], ["a.png", "a.txt", "a.jpg.webp"]),
        ("MPO", ["a.jpg", "a.mpo"], ["a.gif"]),
        ("PNG", ["a.png", "dir.jpg/a"], ["a.jpg", "d/a.png.jpg"]),
        ("TIFF", ["a.tif", "a.TIFF"], ["a.png"]),
        ("PPM", ["a.ppm", "a.pnm"], ["a.bmp"]),
    ],
)
def test_a_name_that_says_something_else(kind: str, right: list[str], wrong: list[str]) -> None:
    data = saved(photo(), kind)
    assert all("wrong extension" not in examine(data, name).traits for name in right)
    assert all("wrong extension" in examine(data, name).traits for name in wrong)


@pytest.mark.parametrize("kind", ["JPEG", "progressive", *LOSSLESS])
def test_half_a_file_is_bad_whatever_the_process_allows(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)  # as other libraries do
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (60, 80, 3), dtype=np.uint8))
    options = {"format": "JPEG", "progressive": True} if kind == "progressive" else {"format": kind}
    file = BytesIO()
    noise.save(file, **options)
    data, whole = file.getvalue(), decode(file.getvalue(), "x")
    for tenth in range(10):
        assert why(data[: len(data) * tenth // 10])
    for missing in range(1, 40):  # at the end there may be nothing that a picture needs
        try:
            assert np.array_equal(decode(data[:-missing], "x"), whole)
        except BadImageError:
            continue
    assert ImageFile.LOAD_TRUNCATED_IMAGES


def test_only_known_formats_are_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    eps = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\nshowpage\n"
    avif = b"\0\0\0\x20ftypavif" + bytes(40)
    for data in (eps, avif, b"<svg/>", b"8BPS" + bytes(40), b"P3 1 1 255 0 0 0", b"hello", b"\0" * 100):
        assert why(data) == "it is no JPEG, PNG, WebP, GIF, BMP, TIFF or binary PNM"
    assert why(b"") == "it is empty"
    assert "header is damaged" in why(b"RIFF" + bytes(100))


def test_files_that_are_none(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to("loop")
    assert why(tmp_path / "pipe") == "it is no regular file"
    assert why(tmp_path) == "it is a folder"
    assert why(tmp_path / "none.jpg") == "no such file or directory"
    assert "symbolic links" in why(tmp_path / "loop")
    assert "null" in why(tmp_path / "a\0b")
    assert "too long" in why(tmp_path / ("a" * 300))
    with (tmp_path / "large.jpg").open("wb") as file:
        file.truncate(opening.MAX_BYTES + 1)
    assert "more than 536,870,912" in why(tmp_path / "large.jpg")


def resized_bmp(side: int) -> bytes:
    data = saved(photo(), "BMP")
    return data[:18] + struct.pack("<ii", side, side) + data[26:]


@pytest.mark.parametrize(
    "make",
    [
        lambda side: png(struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0), b""),
        lambda side: b"GIF89a" + struct.pack("<HHBBB", side, side, 0, 0, 0) + b",\0\0\0\0" + bytes(9),
        lambda side: b"P5 %d %d 255\n" % (side, side),
        lambda side: resized_bmp(side),
        lambda side: saved(Image.new("L", (8, 8)), "JPEG").replace(
            b"\0\x08\0\x08\x01", struct.pack(">HHB", side, side, 1), 1
        ),
    ],
    ids=["png", "gif", "pnm", "bmp", "jpeg"],
)
def test_bombs_are_refused_by_their_headers(make: Callable[[int], bytes]) -> None:
    assert why(make(20_000)) == "it has 20,000 x 20,000 pixels, more than 100,000,000 in all"
    assert why(make(0))


def test_a_bomb_costs_neither_time_nor_memory(tmp_path: Path) -> None:
    squeezer = zlib.compressobj(9)
    row = bytes(13_001 * 100)
    body = b"".join([squeezer.compress(row) for _ in range(130)] + [squeezer.flush()])
    (tmp_path / "bomb.png").write_bytes(png(struct.pack(">IIBBBBB", 13_000, 13_000, 8, 0, 0, 0, 0), body))
    found = limited(tmp_path / "bomb.png", 300 << 20)
    assert "13,000 x 13,000" in found


LIMITED = """
import resource, sys
from pathlib import Path
resource.setrlimit(resource.RLIMIT_AS, (int(sys.argv[2]),) * 2)
from residua.data.decoding import examine
try:
    print(examine(Path(sys.argv[1]), "x"))
except Exception as error:
    print(type(error).__name__, error)
"""


def limited(file: Path, memory: int) -> str:
    """Examine in a process of little memory."""
    environment = os.environ | {"OPENBLAS_NUM_THREADS": "1"}  # each thread of it reserves memory
    command = [sys.executable, "-c", LIMITED, str(file), str(memory)]
    return subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout


def test_too_little_memory_is_one_bad_picture(tmp_path: Path) -> None:
    Image.new("RGB", (9_000, 9_000)).save(tmp_path / "large.png", compress_level=1)
    assert "BadImageError 'x' cannot be read: it needs more memory than there is." in limited(
        tmp_path / "large.png", 400 << 20
    )


def test_a_jpeg_of_countless_scans_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "MAX_SCANNED", 100 * 40 * 30)
    data = saved(photo(), "JPEG", progressive=True)
    scan = data[data.rindex(b"\xff\xda") : -2]
    assert decode(data[:-2] + scan * 50 + b"\xff\xd9", "x").any()
    assert "scans" in why(data[:-2] + scan * 100 + b"\xff\xd9")


@pytest.mark.parametrize(
    ("kind", "at", "piece"),
    [
        ("JPEG", 2, b"\xff\xe1\0\x0cExif\0\0abcd"),  # Pillow joins them again at each: minutes
        ("JPEG", 2, b"\xff\xe5\0\2"),
        ("PNG", 33, bytes(4) + b"abCd" + zlib.crc32(b"abCd").to_bytes(4)),
        ("PPM", 2, b"\n# a comment"),
    ],
)
def test_a_header_of_countless_pieces_is_refused(kind: str, at: int, piece: bytes) -> None:
    data = saved(photo(), kind)
    assert decode(data[:at] + 1_000 * piece + data[at:], "x").shape == (30, 40, 3)
    assert why(data[:at] + 1_000_000 * piece + data[at:]) == "its header has more pieces than any photo's"


def test_the_processs_filters_matter_as_little_as_pillows_warnings() -> None:
    """A PNG that says a wrong thing of its animation warns; 'error' would make it bad."""
    image = saved(photo(), "PNG")
    data = (
        image[:33]
        + struct.pack(">I", 8)
        + b"acTL"
        + bytes(8)
        + struct.pack(">I", zlib.crc32(b"acTL" + bytes(8)))
    )
    before = list(warnings.filters)
    for action in ("error", "always"):
        with warnings.catch_warnings(record=action == "always") as shown:
            warnings.simplefilter(action)
            assert near(decode(data + image[33:], "x"), photo()) and examine(data + image[33:], "x")
        assert not shown
    with pytest.warns(UserWarning, match="APNG"):
        Image.open(BytesIO(data + image[33:]))
    assert warnings.filters == before


def test_threads_decode_side_by_side() -> None:
    files = [saved(photo(200 + n, 150), "JPEG", quality=95) for n in range(8)]
    expected = [decode(data, "x") for data in files]
    wrong: list[int] = []

    def work(n: int) -> None:
        for _ in range(10):
            right = np.array_equal(decode(files[n], "x"), expected[n]) and why_half(files[n])
            wrong.extend([] if right else [n])

    before = list(warnings.filters)
    ImageFile.LOAD_TRUNCATED_IMAGES = True
    try:
        threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert ImageFile.LOAD_TRUNCATED_IMAGES
    finally:
        ImageFile.LOAD_TRUNCATED_IMAGES = False
    assert not wrong and warnings.filters == before


FORKED = """
import os, sys, warnings
from PIL import ImageFile
from residua.data import opening
before = list(warnings.filters)
ImageFile.LOAD_TRUNCATED_IMAGES = True
with opening.undisturbed():  # as a thread does that is not in the child
    if not os.fork():
        assert ImageFile.LOAD_TRUNCATED_IMAGES
        with opening.undisturbed():
            assert not ImageFile.LOAD_TRUNCATED_IMAGES
        assert ImageFile.LOAD_TRUNCATED_IMAGES and warnings.filters == before
        os._exit(7)
    print(os.waitstatus_to_exitcode(os.wait()[1]))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_forked_process_begins_anew() -> None:
    found = subprocess.run([sys.executable, "-c", FORKED], capture_output=True, text=True, timeout=60)
    assert found.stdout == "7\n", found.stderr


def why_half(data: bytes) -> bool:
    try:
        decode(data[: len(data) // 2], "x")
    except BadImageError as error:
        return error.reason == "it is cut off"
    return False


def half(width: int, height: int) -> tuple[int, int]:
    return width // 2, height // 2


def tiny(width: int, height: int) -> tuple[int, int]:
    return 10, 10


@given(st.integers(33, 400), st.integers(33, 400), st.integers(1, 50), st.sampled_from([1, 6]))
def test_a_photo_decoded_small_keeps_twice_what_is_needed(
    width: int, height: int, part: int, orientation: int
) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = saved(photo(width, height), "JPEG", exif=exif)
    if orientation == 6:
        width, height = height, width
    least = (max(1, width // part), max(1, height // part))
    seen = []
    found = decode(data, "x", needed=lambda *size: seen.append(size) or least)  # type: ignore[func-returns-value]
    assert seen == [(width, height)]
    down, across, _ = found.shape
    assert across >= min(width, 2 * least[0]) - 1 and down >= min(height, 2 * least[1]) - 1
    assert max(across / width, down / height) <= 1


def test_what_is_needed_decides_how_small_a_photo_is_decoded() -> None:
    data = saved(photo(1600, 1200), "JPEG")
    assert decode(data, "x", needed=lambda w, h: (w, h)).shape == (1200, 1600, 3)
    assert decode(data, "x", needed=half).shape == (1200, 1600, 3)
    assert decode(data, "x", needed=lambda w, h: (w // 4, h // 4)).shape == (600, 800, 3)
    assert decode(data, "x", "gray", needed=tiny).shape == (150, 200, 1)
    assert decode(saved(photo(1600, 1200), "PNG"), "x", needed=tiny).shape == (1200, 1600, 3)
    odd = decode(saved(photo(1603, 1201), "JPEG", quality=95), "x", needed=tiny)
    assert near(odd, photo(1603, 1201).resize((odd.shape[1], odd.shape[0]), Image.Resampling.BOX), 3)


def test_pictures_of_files_and_arrays_are_read_alike(tmp_path: Path) -> None:
    names = ["a\udcff/\n.png", "=cmd<script>.png", "e" * 251 + ".png"]
    (tmp_path / "a\udcff").mkdir()
    modes = {"rgb": "RGB", "gray": "L", "rgba": "RGBA"}
    image = photo().convert("RGBA")
    image.putalpha(100)
    for stored in modes.values():
        picture = image.convert(stored)
        for name in names:
            picture.save(tmp_path / name)
        files = Files(tmp_path, names)
        stack = np.stack([np.asarray(picture).reshape(30, 40, -1)] * 3)
        np.save(tmp_path / "all.npy", stack)
        arrays = Arrays(np.load(tmp_path / "all.npy", mmap_mode="r"))
        assert files.uniform is None and np.array_equal(arrays.uniform, stack)
        for place in range(3):
            assert files.examine(place) == arrays.examine(place)
            for channels in modes:
                read = arrays.read(place, channels)
                assert np.array_equal(files.read(place, channels), read) and read.flags.writeable
        with pytest.raises(BadImageError, match="no such file"):
            Files(tmp_path, ["gone"]).read(0)
