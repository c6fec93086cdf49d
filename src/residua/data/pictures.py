"""Where pixels come from: files below a folder, or one array."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from residua.data.dataset import Needed, Pixels
from residua.data.decoding import as_array, decode, digest, examine, with_channels
from residua.data.facts import Facts


@dataclass(frozen=True)
class Files:
    """Pictures in files, named by their paths below a folder."""

    root: Path
    names: Sequence[str]

    @property
    def uniform(self) -> None:
        """Nobody knows their sizes before they are read."""

    def read(self, place: int, channels: str = "rgb", needed: Needed | None = None) -> Pixels:
        """Decode a picture."""
        name = self.names[place]
        return decode(self.root / name, name, channels, needed)

    def examine(self, place: int) -> Facts:
        """Decode a picture wholly and say what it is."""
        name = self.names[place]
        return examine(self.root / name, name)


@dataclass(frozen=True)
class Arrays:
    """Pictures of one size in an array (count, height, width, channels), in memory or mapped from a file."""

    pixels: NDArray[np.uint8]

    @property
    def uniform(self) -> NDArray[np.uint8]:
        """The array."""
        return self.pixels

    # `needed` is for readers that decode; these pixels are ready.
    def read(self, place: int, channels: str = "rgb", needed: Needed | None = None) -> Pixels:  # noqa: ARG002 - as all have it
        """Copy a picture."""
        return as_array(with_channels(self._image(place), channels))

    def examine(self, place: int) -> Facts:
        """Say what a picture is."""
        image = self._image(place)
        traits = {"L": ("grayscale",), "RGBA": ("transparent",)}.get(image.mode, ())
        return Facts(image.width, image.height, digest(image), traits)

    def _image(self, place: int) -> Image.Image:
        pixels = np.asarray(self.pixels[place])
        return Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)
