"""How a picture is shown to a network: once, mirrored too, as ten crops, or whole in several sizes.

Of several views the probabilities are averaged. What is given out are logits: for one view the network's own,
for several the logarithm of the mean probability.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Iterable
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from residua.data.ahead import ahead, processors
from residua.data.dataset import Data
from residua.data.loading.loader import Loader
from residua.data.loading.reading import channels_read
from residua.errors import unknown
from residua.nets.network import Network, Vgg
from residua.weights.metadata import Preprocessing
from residua.weights.preprocessing import normalized, shortened

Views = Literal["one", "flip", "ten-crop", "multi-scale"]
VIEWS: tuple[Views, ...] = ("one", "flip", "ten-crop", "multi-scale")

CROPS = 10
PAPERS_SIDE, PAPERS_SCALES = 224, (224, 256, 384, 480, 640)
PAPERS_RESIZE = 256  # of which the papers crop 224


def checked_views(name: str) -> Views:
    """Return views by their name."""
    for views in VIEWS:
        if views == name:
            return views
    raise unknown("views", name, VIEWS)


def in_words(views: Views, rule: Preprocessing) -> str:
    """Say in words what a network is shown."""
    if views == "ten-crop":
        return (
            f"ten crops: corners and centre of {rule.size} pixels, as they are and mirrored, of the picture "
            f"with a shorter side of {crop_side(rule)}; mean of the probabilities"
        )
    if views == "multi-scale":
        sides = ", ".join(map(str, scales(rule)))
        return f"the whole picture with shorter sides of {sides}; mean of the probabilities"
    if views == "flip":
        return "the picture as it is and mirrored; mean of the probabilities"
    return "one view"


def crop_side(rule: Preprocessing) -> int:
    """Return the shorter side that ten crops are taken from; 8/7 of the crop where a rule has no room."""
    roomy = rule.rule == "crop" and rule.resize > rule.size
    return rule.resize if roomy else math.ceil(rule.size * PAPERS_RESIZE / PAPERS_SIDE)


def scales(rule: Preprocessing) -> list[int]:
    """Return the shorter sides of several sizes: the paper's, in proportion to the model's own."""
    return [round(side * rule.size / PAPERS_SIDE) for side in PAPERS_SCALES]


@dataclass(frozen=True)
class Showing:
    """Pictures shown to a network."""

    network: Network | Vgg
    data: Data
    rule: Preprocessing
    views: Views
    batch: int
    workers: int | None  # threads that read
    device: torch.device

    def logits(self) -> Generator[Tensor]:
        """Yield logits on the CPU, of some pictures at a time, in the data's order."""
        if self.views in ("one", "flip"):
            return self._of_squares()
        return self._of_crops() if self.views == "ten-crop" else self._of_scales()

    def _of_squares(self) -> Generator[Tensor]:
        places = np.arange(len(self.data))
        loader = Loader(self.data, places, self.rule, self.batch, workers=self.workers, device=self.device)
        with closing(loader.epoch(0)) as batches:
            for batch in batches:
                x = batch.inputs()
                shown = [x] if self.views == "one" else [x, x.flip(3)]
                yield combined([self._ask(each) for each in shown])

    def _of_crops(self) -> Generator[Tensor]:
        at_once = max(1, self.batch // CROPS)
        with closing(self._pictures([crop_side(self.rule)])) as pictures:
            while some := list(islice(pictures, at_once)):
                crops = torch.cat([ten_crops(pixels, self.rule.size) for (pixels,) in some])
                answers = self._ask(self._input(crops))
                yield combined(answers.view(len(some), CROPS, -1).unbind(1))

    def _of_scales(self) -> Generator[Tensor]:
        """Ask picture by picture: no two need have one shape."""
        with closing(self._pictures(scales(self.rule))) as pictures:
            for sizes in pictures:
                yield combined([self._ask(self._input(pixels)) for pixels in sizes])

    def _pictures(self, sides: list[int]) -> Generator[list[Tensor]]:
        """Yield each picture with shorter sides of so many pixels; threads read ahead."""

        def read(place: int) -> list[Tensor]:
            pixels = self._read(place, max(sides))
            return [shortened(pixels, self.rule, side) for side in sides]

        workers = processors() if self.workers is None else self.workers
        return ahead(read, range(len(self.data)), workers, 2 * workers)

    def _read(self, place: int, side: int) -> Tensor:
        """Read a picture of at least this shorter side, as a batch of one."""

        def needed(width: int, height: int) -> tuple[int, int]:
            short = min(width, height)
            return -(-side * width // short), -(-side * height // short)

        pixels = self.data.read(place, channels_read(self.rule), needed)
        own = pixels if pixels.flags.writeable else pixels.copy()  # PyTorch warns of mapped ones
        return torch.from_numpy(own)[None].permute(0, 3, 1, 2)

    def _input(self, pixels: Tensor) -> Tensor:
        on_device = pixels.to(self.device).contiguous(memory_format=torch.channels_last)
        return normalized(on_device, self.rule)

    def _ask(self, x: Tensor) -> Tensor:
        kind = next(self.network.parameters()).dtype
        with torch.inference_mode():  # not around the reading: threads fill its tensors
            logits: Tensor = self.network(x.to(kind))
            return logits.float().cpu()


def ten_crops(pixels: Tensor, size: int) -> Tensor:
    """Return a picture's corners and centre, and the same mirrored, as a batch of ten."""
    height, width = pixels.shape[2:]
    top, left = height - size, width - size
    corners = [(0, 0), (0, left), (top, 0), (top, left), (round(top / 2), round(left / 2))]
    crops = [pixels[:, :, y : y + size, x : x + size] for y, x in corners]
    return torch.cat([*crops, *(crop.flip(3) for crop in crops)])


def combined(answers: Iterable[Tensor]) -> Tensor:
    """Return the logits of one view as they are, of several the logarithm of their mean probability."""
    views = list(answers)
    if len(views) == 1:
        return views[0]
    logs = torch.stack(views).double().log_softmax(2)
    return logs.logsumexp(0).sub(math.log(len(views)))
