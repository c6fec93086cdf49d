"""Which units stride, what becomes dilation under an output stride, and that dilation is only denser."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from residua import create, plan, spec

from .comparing import case, relative

# Written down from TF-Slim's `stack_blocks_dense`: a unit whose stride is taken away runs at the old rate.
LAST = {  # rates of the units of blocks 1 to 4, where the last unit of blocks 1 to 3 strides
    None: ([1, 1, 1], [1, 1, 1, 1], [1] * 6, [1, 1, 1]),
    32: ([1, 1, 1], [1, 1, 1, 1], [1] * 6, [1, 1, 1]),
    16: ([1, 1, 1], [1, 1, 1, 1], [1] * 6, [2, 2, 2]),
    8: ([1, 1, 1], [1, 1, 1, 1], [2] * 6, [4, 4, 4]),
    4: ([1, 1, 1], [2, 2, 2, 2], [4] * 6, [8, 8, 8]),
}
FIRST = {  # the same where the first unit of stages 2 to 4 strides
    None: ([1, 1, 1], [1, 1, 1, 1], [1, 1, 1, 1, 1, 1], [1, 1, 1]),
    32: ([1, 1, 1], [1, 1, 1, 1], [1, 1, 1, 1, 1, 1], [1, 1, 1]),
    16: ([1, 1, 1], [1, 1, 1, 1], [1, 1, 1, 1, 1, 1], [1, 2, 2]),
    8: ([1, 1, 1], [1, 1, 1, 1], [1, 2, 2, 2, 2, 2], [2, 4, 4]),
    4: ([1, 1, 1], [1, 2, 2, 2], [2, 4, 4, 4, 4, 4], [4, 8, 8]),
}
FIRST_1X1 = {  # and where that unit strides before its 3x3 convolution, which then is behind the lost stride
    None: ([1, 1, 1], [1, 1, 1, 1], [1, 1, 1, 1, 1, 1], [1, 1, 1]),
    32: ([1, 1, 1], [1, 1, 1, 1], [1, 1, 1, 1, 1, 1], [1, 1, 1]),
    16: ([1, 1, 1], [1, 1, 1, 1], [1, 1, 1, 1, 1, 1], [2, 2, 2]),
    8: ([1, 1, 1], [1, 1, 1, 1], [2, 2, 2, 2, 2, 2], [4, 4, 4]),
    4: ([1, 1, 1], [2, 2, 2, 2], [4, 4, 4, 4, 4, 4], [8, 8, 8]),
}
RATES = {"slim_resnet_v1_50": LAST, "slim_resnet_v2_50": LAST, "resnet50": FIRST, "resnet50_v1": FIRST_1X1}
STRIDED_SIDES = {  # of the stages' outputs at 224 and 225
    "slim_resnet_v1_50": ([28, 14, 7, 7], [29, 15, 8, 8]),
    "slim_resnet_v2_50": ([28, 14, 7, 7], [29, 15, 8, 8]),
    "resnet50": ([56, 28, 14, 7], [57, 29, 15, 8]),
    "resnet50_v1": ([56, 28, 14, 7], [57, 29, 15, 8]),
}
SLIM_STRIDES = {"layer1.2", "layer2.3", "layer3.5"}
STRIDES = {
    "slim_resnet_v1_50": {f"{unit}.conv2" for unit in SLIM_STRIDES},
    "slim_resnet_v2_50": {f"{unit}.conv2" for unit in SLIM_STRIDES},
    "resnet50": {f"layer{stage}.0.{part}" for stage in (2, 3, 4) for part in ("conv2", "downsample.0")},
    "resnet50_v1": {f"layer{stage}.0.{part}" for stage in (2, 3, 4) for part in ("conv1", "downsample.0")},
}

SMALL: dict[str, Any] = {"units": (2, 2, 1, 2), "widths": (4, 8, 16, 32), "stem_width": 4, "num_classes": 5}
DENSE: dict[str, dict[str, Any]] = {
    "resnet18": {},
    "resnet50": {},
    "resnet50_v1": {},
    "preresnet18": {"projection": "A"},
    "preresnet50": {},
    "resnetv2_18": {},
    "resnetv2_50": {"stride_unit": "last"},
    "resnet34": {"stride_unit": "last"},
    "slim_resnet_v1_50": {},
    "slim_resnet_v2_50": {},
    "keras_resnet50v2": {},
}


@pytest.mark.parametrize("name", STRIDES)
def test_strides_lie_where_they_should(name: str) -> None:
    layers = [(step, layer) for step, layer in plan(spec(name)).layers if step.startswith("layer")]
    found = {step for step, layer in layers if layer.kind == "convolution" and layer.stride == 2}
    assert found == STRIDES[name]
    subsampling = {step for step, layer in layers if layer.kind == "subsample"}
    assert subsampling == ({f"{unit}.downsample" for unit in SLIM_STRIDES} if "slim" in name else set())


@pytest.mark.parametrize("name", STRIDED_SIDES)
def test_sides_of_the_stages(name: str) -> None:
    for side, wanted in zip((224, 225), STRIDED_SIDES[name], strict=True):
        assert [stage.outputs.side for stage in plan(spec(name), side).stages] == wanted


def sides_at(output_stride: int, sides: list[int]) -> list[int]:
    """Sides of the stages' outputs once no stride may bring them below 224 / output_stride."""
    return [max(side, 224 // output_stride) for side in sides]


@pytest.mark.parametrize("output_stride", LAST)
@pytest.mark.parametrize("name", RATES)
def test_rates_of_the_units(name: str, output_stride: int | None) -> None:
    planned = plan(spec(name, output_stride=output_stride))
    rates = [[dict(unit.residual)["conv2"].dilation for _, unit in stage.blocks] for stage in planned.stages]
    assert rates == [*RATES[name][output_stride]]
    sides = sides_at(output_stride or 32, STRIDED_SIDES[name][0])
    assert [stage.outputs.side for stage in planned.stages] == sides
    assert list(planned.strides) == [224 // side for side in sides]


@pytest.mark.parametrize(
    ("output_stride", "wanted"),
    [
        (16, [(1, 1), (1, 1), (1, 1), (1, 1), (1, 1), (1, 1), (1, 2), (2, 2)]),
        (8, [(1, 1), (1, 1), (1, 1), (1, 1), (1, 2), (2, 2), (2, 4), (4, 4)]),
    ],
)
def test_rates_of_basic_units(output_stride: int, wanted: list[tuple[int, int]]) -> None:
    """The second convolution works on what the first no longer makes smaller, so at the new rate."""
    planned = plan(spec("resnet18", output_stride=output_stride))
    units = [dict(unit.residual) for stage in planned.stages for _, unit in stage.blocks]
    assert [(unit["conv1"].dilation, unit["conv2"].dilation) for unit in units] == wanted


def test_modules_have_the_planned_rates() -> None:
    network = create("slim_resnet_v2_50", output_stride=8)
    for step, layer in network.plan.layers:
        if layer.kind == "convolution":
            module = network.get_submodule(step)
            assert isinstance(module, nn.Conv2d)
            assert module.dilation == (layer.dilation,) * 2
            assert module.stride == (layer.stride,) * 2
            assert module.padding == (layer.dilation * (layer.kernel // 2),) * 2


@pytest.mark.parametrize("output_stride", [4, 8, 16])
@pytest.mark.parametrize("side", [64, 65, 90])
@pytest.mark.parametrize("name", DENSE)
def test_dense_features_contain_the_strided_ones(name: str, side: int, output_stride: int) -> None:
    """That is the point of dilation: the same numbers, and more between them."""
    strided, batch = case(name, torch.float64, 2, side, training=False, **SMALL, **DENSE[name])
    dense = create(strided.spec, output_stride=output_stride).double().eval()
    dense.load_state_dict(strided.state_dict())
    with torch.no_grad():
        pairs = list(zip(strided.eval().features(batch), dense.features(batch), strict=True))
    assert pairs[-1][1].stride == output_stride
    for sparse, full in pairs:
        lost = sparse.stride // full.stride
        assert sparse.output.shape[-1] < full.output.shape[-1] or lost == 1
        assert relative(full.output[:, :, ::lost, ::lost], sparse.output) < 1e-12
