"""Where a network looked: Grad-CAM (Selvaraju et al., 2017) over the upright picture."""

from __future__ import annotations

import os
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from residua.data.dataset import Pixels
from residua.data.decoding import decode
from residua.data.loading.reading import channels_read
from residua.errors import UserError
from residua.files import Name
from residua.judging.explaining.colours import Heat
from residua.judging.explaining.illustrating import Explanation
from residua.judging.figures.ranking import ranked
from residua.judging.model import Model, evaluating, load
from residua.judging.predicting.arrays import as_pixels
from residua.judging.predicting.files import named
from residua.judging.predicting.prediction import Prediction
from residua.nets.network import Network, Vgg
from residua.nets.values import checked
from residua.weights.classes import find_class
from residua.weights.metadata import Preprocessing
from residua.weights.preprocessing import preprocess, seen_box


def explain(model: Model | Name, image: Pixels | Name, label: str | int | None = None) -> Explanation:
    """Say where a model looked in a picture: a file, or 8-bit pixels (height, width, channels).

    It is shown for the first guess, or for the class of this name, id or number.

    >>> explain("best.safetensors", "photo.jpg").save("photo-explained.png")  # doctest: +SKIP
    """
    model = model if isinstance(model, Model) else load(model)
    rule = model.rule()
    pixels = _read(os.fspath(image), rule) if isinstance(image, (str, os.PathLike)) else as_pixels(image)
    looked = _look(model, pixels, label)
    height, width = pixels.shape[:2]
    return Explanation(
        prediction=looked.prediction,
        guess=model.guess(looked.label, float(model.chances(looked.logits)[0, looked.label])),
        pixels=pixels,
        heat=_laid(looked.cells, width, height, rule),
        seen=seen_box(width, height, rule),
        cells=(looked.cells.shape[0], looked.cells.shape[1]),
    )


def heatmap(model: Model, pixels: Pixels, label: str | int | None = None) -> Heat:
    """Return how much each pixel's place spoke for a class (without a label the likeliest), from 0 to 1."""
    height, width = pixels.shape[:2]
    return _laid(_look(model, pixels, label).cells, width, height, model.rule())


def class_number(model: Model, label: str | int) -> int:
    """Return the number of a class by its name, its id, or its number."""
    label = checked("label", label, int | str)  # numpy's numbers too
    if isinstance(label, int) and 0 <= label < len(model.entries):
        return label
    return find_class(model.entries, str(label))


class _Looked(NamedTuple):
    """What one pass over a picture gave."""

    prediction: Prediction
    logits: Tensor  # (1, classes)
    label: int
    cells: Tensor  # (rows, columns) of the last maps, from 0 to 1


def _look(model: Model, pixels: Pixels, label: str | int | None) -> _Looked:
    """Weigh the last maps by the gradient of a class's logit; only what speaks for the class counts."""
    wanted = None if label is None else class_number(model, label)
    batch = torch.from_numpy(np.array(pixels))[None].permute(0, 3, 1, 2)  # a copy: packed ones are read-only
    x = model.as_input(preprocess(batch, model.rule()))
    with evaluating(model.network), torch.inference_mode(False):
        maps, logits = _last_maps(model.network, x.clone())
        place = int(ranked(logits.detach().float(), 1)) if wanted is None else wanted
        (slope,) = torch.autograd.grad(logits[0, place], maps)
    weights = slope.float().mean((2, 3), keepdim=True)
    cells = (weights * maps.detach().float()).sum(1)[0].relu().cpu()
    (prediction,) = model.predictions(logits.detach())
    if prediction is None or not bool(cells.isfinite().all()):
        raise UserError("the network's answer to this picture is no number: where it looked cannot be said.")
    return _Looked(prediction, logits.detach(), place, cells / cells.max().clamp(min=torch.finfo().tiny))


def _last_maps(network: Network | Vgg, x: Tensor) -> tuple[Tensor, Tensor]:
    """Return the maps that the last pool takes in, and logits that can be differentiated by them."""
    found: list[Tensor] = []

    def begin(_: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor]:
        found.append(inputs[0].detach().requires_grad_())
        torch.set_grad_enabled(True)  # from here on; what came before need not be kept
        return (found[0],)

    last = network.features[-1] if isinstance(network, Vgg) else network.get_submodule("avgpool")
    hook = last.register_forward_pre_hook(begin)
    try:
        with torch.no_grad():  # which also ends what `begin` began
            logits = network(x)
    finally:
        hook.remove()
    return found[0], logits


def _laid(cells: Tensor, width: int, height: int, rule: Preprocessing) -> Heat:
    """Lay cells over the part of the picture that they stand for, blending from one to the next."""
    left, top, right, bottom = seen_box(width, height, rule)
    rows, columns = cells.shape
    heat: Heat = (_blend(height, top, bottom, rows) @ cells @ _blend(width, left, right, columns).T).numpy()
    return heat


def _blend(length: int, begin: float, end: float, cells: int) -> Tensor:
    """Return how much of each cell (column) a pixel (row) has: two neighbours' share, and nothing outside."""
    place = (torch.arange(length) + 0.5 - begin) / (end - begin)
    middle = (place * cells - 0.5).clamp(0, cells - 1)
    shares = (1 - (middle[:, None] - torch.arange(cells)).abs()).clamp(min=0)
    return shares * ((place >= 0) & (place <= 1))[:, None]


def _read(path: str, rule: Preprocessing) -> Pixels:
    return decode(named(path), path, channels_read(rule), rule.resized)
