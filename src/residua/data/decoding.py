"""Files to pixels: whole, upright, 8 bits a channel; what is wrong or unusual is said."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image, ImageFile

from residua.data.dataset import Needed, Pixels
from residua.data.facts import BadImageError, Facts
from residua.data.opening import BadContentError, blaming, content, load, opened, undisturbed

DRAFT_GAP = 2  # how many times larger than needed a photo decoded small stays; docs/preprocessing.md: why

Box = tuple[float, float, float, float]
_MODES = {"rgb": "RGB", "gray": "L", "rgba": "RGBA"}
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_SUFFIXES = {
    "JPEG": {".jpg", ".jpeg", ".jpe", ".jfif", ".mpo"},
    "PNG": {".png", ".apng"},
    "WEBP": {".webp"},
    "GIF": {".gif"},
    "BMP": {".bmp", ".dib"},
    "TIFF": {".tif", ".tiff"},
    "PPM": {".ppm", ".pgm", ".pbm", ".pnm"},
}


def decode(source: Path | bytes, name: str, channels: str = "rgb", needed: Needed | None = None) -> Pixels:
    """Return a file's or its content's pixels (height, width, channels); a bad one raises `BadImageError`.

    A large photo is decoded smaller, but well larger than `needed` says of its upright width and height.
    """
    with _reporting(name):
        image = opened(source if isinstance(source, bytes) else content(source))
        box = _draft(image, needed) if needed and image.format == "JPEG" else None
        load(image)
        plain = _plain(image) if box is None else _exact(_plain(image), box)
        return as_array(with_channels(_upright(plain, image), channels))


def examine(source: Path | bytes, name: str) -> Facts:
    """Decode a file or its content wholly and say what it is; a bad one raises `BadImageError`."""
    with _reporting(name):
        image = opened(source if isinstance(source, bytes) else content(source))
        traits = _traits(image, name)
        load(image)
        upright = _upright(_plain(image), image)
        if _orientation(image) != 1:
            traits.append("rotated")
        return Facts(upright.width, upright.height, digest(upright), tuple(traits))


@contextlib.contextmanager
def _reporting(name: str) -> Iterator[None]:
    try:
        with undisturbed():
            yield
    except BadContentError as error:
        raise BadImageError(name, str(error)) from None
    except MemoryError:
        raise BadImageError(name, "it needs more memory than there is") from None


def with_channels(plain: Image.Image, channels: str) -> Image.Image:
    """Bring a picture in gray, RGB or RGBA to "rgb", "gray" or "rgba"; what is transparent shows white."""
    mode = _MODES[channels]
    if plain.mode == mode:
        return plain
    if plain.mode == "RGBA":
        white = Image.new("RGBA", plain.size, "white")
        plain = Image.alpha_composite(white, plain).convert("RGB")
    return plain.convert(mode)


def as_array(image: Image.Image) -> Pixels:
    """Copy a picture's pixels to an array of three axes."""
    pixels = np.array(image)
    return pixels if pixels.ndim == 3 else pixels[..., None]


def digest(plain: Image.Image) -> bytes:
    """Hash the pixels of a picture in gray, RGB or RGBA; how they are stored does not matter."""
    opaque = plain.mode != "RGBA" or plain.getchannel("A").getextrema() == (255, 255)
    pixels = plain.convert("RGB") if opaque and plain.mode != "RGB" else plain
    found = hashlib.blake2b(f"{pixels.mode} {pixels.width} {pixels.height} ".encode(), digest_size=16)
    found.update(pixels.tobytes())
    return found.digest()


def _draft(image: ImageFile.ImageFile, needed: Needed) -> Box | None:
    """Let the JPEG decoder leave out detail that resizing would lose; return where the photo then ends."""
    if _orientation(image) >= 5:
        height, width = needed(image.height, image.width)
    else:
        width, height = needed(image.width, image.height)
    drafted = image.draft(None, (max(1, DRAFT_GAP * width), max(1, DRAFT_GAP * height)))
    return drafted[1] if drafted else None


def _exact(plain: Image.Image, box: Box) -> Image.Image:
    """Make a photo decoded small end at whole pixels, also where its sides are no multiples of the step."""
    width, height = box[2:]
    if (width, height) == (plain.width, plain.height):
        return plain
    return plain.resize((round(width), round(height)), Image.Resampling.BILINEAR, box)


def _orientation(image: ImageFile.ImageFile) -> int:
    """Return how the camera was held, 1 to 8; of a TIFF that is decoded 1, as Pillow has turned it."""
    if image.format != "TIFF" and not image.info.keys() & {"exif", "xmp", "Raw profile type exif"}:
        return 1
    try:
        found = image.getexif().get(0x0112, 1)
    except Exception:  # broken EXIF does not make a picture bad
        return 1
    return found if found in _TURNS else 1


def _upright(plain: Image.Image, image: ImageFile.ImageFile) -> Image.Image:
    orientation = _orientation(image)
    return plain if orientation == 1 else plain.transpose(_TURNS[orientation])


def _plain(image: Image.Image) -> Image.Image:
    """Bring any kind of picture to 8 bits: gray, RGB, or RGBA where it may be transparent."""
    if image.mode.startswith("I"):
        return _eight_bits(image)
    if image.mode == "F":
        raise BadContentError("its values are fractions, whose range nobody says")
    with blaming("its colours are damaged"):
        if image.has_transparency_data:
            return image if image.mode == "RGBA" else image.convert("RGBA")
        target = "L" if image.mode in ("1", "L") else "RGB"
        return image if image.mode == target else image.convert(target)


def _eight_bits(image: Image.Image) -> Image.Image:
    """Scale 16 bits to 8; Pillow would cut everything above 255 off."""
    values = np.asarray(image)
    if values.min() < 0 or values.max() > 65535:
        raise BadContentError("its values are beyond 16 bits")
    gray = Image.fromarray(((values.astype(np.uint32) + 128) // 257).astype(np.uint8))
    if "transparency" in image.info:
        gray.putalpha(Image.fromarray(np.uint8(255) * (values != image.info["transparency"])))
        return gray.convert("RGBA")
    return gray


def _traits(image: ImageFile.ImageFile, name: str) -> list[str]:
    """Say what is unusual about a picture whose header is read."""
    suffix = Path(name).suffix.lower()
    traits = {
        "grayscale": image.mode in ("1", "L", "LA") or image.mode.startswith("I"),
        "palette": image.mode in ("P", "PA"),
        "transparent": image.has_transparency_data,
        "cmyk": image.mode == "CMYK",
        "16-bit": _is_deep(image),
        "animated": _is_animated(image),
        "rotated": image.format == "TIFF" and _orientation(image) != 1,  # others may say it behind the pixels
        "wrong extension": bool(suffix) and suffix not in _SUFFIXES[image.format or ""],
    }
    return [trait for trait, given in traits.items() if given]


def _is_deep(image: ImageFile.ImageFile) -> bool:
    """Whether a picture whose header is read has more than 8 bits a channel."""
    if image.mode.startswith("I"):
        return True
    for decoder, _, _, arguments in image.tile[:1]:
        if decoder == "ppm":
            return bool(arguments and int(arguments[1]) > 255)
        return ";16" in str(arguments)
    return False


def _is_animated(image: ImageFile.ImageFile) -> bool:
    try:
        return bool(getattr(image, "is_animated", False))
    except Exception:  # a later frame is damaged; the first is what is used
        return True
