"""Small layers of the networks against loops that follow the definitions number by number."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import Tensor, nn

from residua import Network, create

Array = npt.NDArray[np.float64]

SMALL: dict[str, Any] = {"units": (2, 1, 1, 2), "widths": (4, 4, 4, 4), "stem_width": 4, "num_classes": 3}
SIDES = [(8, 8), (9, 9), (8, 9), (7, 6), (2, 1), (1, 2), (3, 3)]

sides = pytest.mark.parametrize("side", SIDES)


def small(name: str) -> Network:
    return create(name, **SMALL).double().eval()


def random(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape)), dtype=torch.float64)


def array(tensor: Tensor) -> Array:
    return np.asarray(tensor.detach(), dtype=np.float64)


def windows(
    x: Array, kernel: int, stride: int, before: tuple[int, int], outputs: tuple[int, int], fill: float
) -> list[list[Array]]:
    """Cut (channels, kernel, kernel) windows out of (channels, height, width), of which some may jut out."""
    around = np.pad(x, ((0, 0), (2 * kernel,) * 2, (2 * kernel,) * 2), constant_values=fill)
    rows, columns = (
        [2 * kernel - start + stride * place for place in range(count)]
        for start, count in zip(before, outputs, strict=True)
    )
    return [[around[:, r : r + kernel, c : c + kernel] for c in columns] for r in rows]


def each(x: Tensor, by_hand: Callable[[Array], list[list[Array]]]) -> Tensor:
    """Apply a function of one image that returns rows of pixels with all channels."""
    return torch.tensor(np.stack([by_hand(image) for image in array(x)])).permute(0, 3, 1, 2)


def halved(shape: tuple[int, ...]) -> tuple[int, int]:
    return -(-shape[1] // 2), -(-shape[2] // 2)


def pooled_same(image: Array) -> list[list[Array]]:
    """TensorFlow's "SAME": ceil(n / 2) windows, the smaller half of what they jut out lies before."""
    outputs = halved(image.shape)
    jut = [max((count - 1) * 2 + 3 - size, 0) for count, size in zip(outputs, image.shape[1:], strict=True)]
    cut = windows(image, 3, 2, (jut[0] // 2, jut[1] // 2), outputs, -np.inf)
    return [[window.max((1, 2)) for window in row] for row in cut]


def pooled_with_zeros(image: Array) -> list[list[Array]]:
    """Keras' ZeroPadding2D(1), then max pool without padding: the border takes part as zeros."""
    outputs = (image.shape[1] - 1) // 2 + 1, (image.shape[2] - 1) // 2 + 1
    return [[window.max((1, 2)) for window in row] for row in windows(image, 3, 2, (1, 1), outputs, 0)]


def convolved_same(weight: Array) -> Callable[[Array], list[list[Array]]]:
    """TF-Slim's conv2d_same with stride 2: (k - 1) / 2 zeros before and behind, whatever the side."""
    kernel = weight.shape[-1]
    before = (kernel - 1) // 2

    def by_hand(image: Array) -> list[list[Array]]:
        padded = [size + kernel - 1 for size in image.shape[1:]]
        outputs = (padded[0] - kernel) // 2 + 1, (padded[1] - kernel) // 2 + 1
        cut = windows(image, kernel, 2, (before, before), outputs, 0)
        return [[(weight * window).sum((1, 2, 3)) for window in row] for row in cut]

    return by_hand


def subsampled(x: Tensor, channels: int, front: int) -> Tensor:
    """Every second pixel, with so many zero channels in front, and behind up to the wanted number."""
    found = np.zeros((len(x), channels, *halved(tuple(x.shape[1:]))))
    for i, j in np.ndindex(*found.shape[2:]):
        found[:, front : front + x.shape[1], i, j] = array(x[:, :, 2 * i, 2 * j])
    return torch.tensor(found)


@sides
@pytest.mark.parametrize("name", ["slim_resnet_v1_50", "slim_resnet_v2_50"])
def test_same_pool(name: str, side: tuple[int, int]) -> None:
    x = random(2, 4, *side) - 5  # below zero: a border of zeros would show
    assert torch.equal(small(name).get_submodule("maxpool")(x), each(x, pooled_same))


def test_same_pool_has_one_row_behind_at_an_even_side_and_one_on_each_end_at_an_odd_one() -> None:
    pool = small("slim_resnet_v2_50").get_submodule("maxpool")
    assert pool(torch.arange(16.0).view(1, 1, 4, 4)).tolist() == [[[[10, 11], [14, 15]]]]
    assert pool(torch.arange(25.0).view(1, 1, 5, 5)).tolist() == [[[[6, 8, 9], [16, 18, 19], [21, 23, 24]]]]


@sides
@pytest.mark.parametrize("name", ["keras_resnet50", "keras_resnet50v2"])
def test_pool_with_zeros(name: str, side: tuple[int, int]) -> None:
    x = random(2, 4, *side) - 1
    assert torch.equal(small(name).get_submodule("maxpool")(x), each(x, pooled_with_zeros))


@sides
@pytest.mark.parametrize("name", ["slim_resnet_v1_50", "slim_resnet_v2_50"])
def test_strided_convolutions_pad_both_sides(name: str, side: tuple[int, int]) -> None:
    network = small(name)
    for place, channels in (("conv1", 3), ("layer1.1.conv2", 4)):
        layer, x = network.get_submodule(place), random(2, channels, *side)
        assert isinstance(layer, nn.Conv2d)
        layer.bias = None
        by_hand = each(x, convolved_same(array(layer.weight)))
        torch.testing.assert_close(layer(x), by_hand, rtol=1e-12, atol=1e-12)


@sides
@pytest.mark.parametrize("name", ["slim_resnet_v1_50", "slim_resnet_v2_50", "keras_resnet50v2"])
def test_subsampling_is_a_pool_of_one_pixel(name: str, side: tuple[int, int]) -> None:
    unit, x = small(name).units[1], random(2, 16, *side)
    assert torch.equal(unit.shortcut(x), nn.functional.max_pool2d(x, 1, 2))
    assert torch.equal(unit.shortcut(x), subsampled(x, 16, 0))


@sides
@pytest.mark.parametrize(("place", "front"), [("behind", 0), ("around", 8)])
def test_option_a_puts_zeros_behind_or_around(place: str, front: int, side: tuple[int, int]) -> None:
    network = create("cifar_resnet20", zero_channels=place)
    x = random(2, 16, *side)
    shortcut = network.get_submodule("layer2.0").get_submodule("downsample")
    assert torch.equal(shortcut(x), subsampled(x, 32, front))
