"""A VGG's spec expanded into groups of layers."""

from __future__ import annotations

from residua.errors import UserError
from residua.nets.layers import Block, Group, Layer, Shape, convolution, linear
from residua.nets.spec import VggSpec


def groups_of(spec: VggSpec, inputs: Shape) -> tuple[Group, ...]:
    """Expand convolutions and pools, then the classifier."""
    groups, index = [], 0
    for stage, (count, width) in enumerate(zip(spec.convolutions, spec.widths, strict=True)):
        blocks = []
        for place in range(count + 1):
            layers = _vgg_convolution(spec, inputs, width) if place < count else [_vgg_pool(spec, inputs)]
            chain = tuple((str(index + offset), layer) for offset, layer in enumerate(layers))
            blocks.append(("features", Block(chain)))
            index += len(layers)
            inputs = layers[-1].outputs
        groups.append(Group(f"conv{stage + 1}", "stage", tuple(blocks)))
    return (*groups, _vgg_head(spec, inputs))


def _vgg_convolution(spec: VggSpec, inputs: Shape, width: int) -> list[Layer]:
    layer = convolution(inputs, width, 3, bias=True)
    norm = [Layer("norm", layer.outputs, layer.outputs)] if spec.norm == "batch" else []
    return [layer, *norm, Layer("relu", layer.outputs, layer.outputs, inplace=True)]


def _vgg_pool(spec: VggSpec, inputs: Shape) -> Layer:
    halved = Shape(inputs.channels, inputs.side // 2)
    if not halved.side:
        least = 2 ** len(spec.convolutions)
        raise UserError(
            f"the image is too small: {spec.name or 'this VGG'} needs a side of at least {least}."
        )
    return Layer("max_pool", inputs, halved, kernel=2, stride=2, border="none")


def _vgg_head(spec: VggSpec, inputs: Shape) -> Group:
    pooled, flat = Shape(inputs.channels, 7), Shape(inputs.channels * 49, 1)
    pool = (("avgpool", Layer("adaptive_pool", inputs, pooled)), ("flatten", Layer("flatten", pooled, flat)))
    hidden = Shape(spec.hidden, 1)
    layers = [
        linear(flat.channels, spec.hidden),
        Layer("relu", hidden, hidden, inplace=True),
        Layer("dropout", hidden, hidden, rate=spec.dropout_rate),
        linear(spec.hidden, spec.hidden),
        Layer("relu", hidden, hidden, inplace=True),
        Layer("dropout", hidden, hidden, rate=spec.dropout_rate),
        linear(spec.hidden, spec.num_classes),
    ]
    classifier = tuple((str(index), layer) for index, layer in enumerate(layers))
    return Group("head", "head", (("", Block(pool)), ("classifier", Block(classifier))))
