"""How many bytes of activations one image needs, and how far a network sees: read off the plan."""

from __future__ import annotations

from dataclasses import dataclass

from residua.nets.layers import Block, Chain, Layer
from residua.nets.plan import Plan
from residua.nets.spec import SCALED, Spec, groups_of

FLOAT, INDEX = 4, 8


@dataclass(frozen=True, slots=True, eq=False)
class _Buffer:
    """A piece of memory that one or more activations share; two of them are never equal."""

    size: int


@dataclass(frozen=True)
class Memory:
    """Bytes in fp32 for one image; the weights, their gradients and the optimiser come on top."""

    training: int  # kept from the forward for the backward pass
    inference: int  # alive at once, at most


def memory(plan: Plan) -> Memory:
    """Follow one image through the network, as PyTorch runs it eagerly."""
    training, inference = _Walk(plan, training=True), _Walk(plan, training=False)
    return Memory(training.kept, inference.peak)


def receptive_field(plan: Plan) -> int:
    """Side of the square that one place of the last stage's output sees, padding included."""
    side, jump = 1, 1
    for group in plan.groups:
        for layer in (layer for _, block in group.blocks for _, layer in block.main):
            if layer.kind in ("convolution", "max_pool") and group.role != "head":
                side += (layer.kernel - 1) * layer.dilation * jump
                jump *= layer.stride
    return side


class _Walk:
    """Runs a plan on buffers instead of tensors."""

    def __init__(self, plan: Plan, training: bool) -> None:
        self.spec = plan.spec
        self.training = training
        self.saved: set[_Buffer] = set()
        self.peak = 0
        x = image = _floats(plan.inputs.elements)
        for name, block in plan.blocks:
            # Callers hold on to what they pass, but within a VGG's one `Sequential` nobody does.
            x = self.block(block, x, [image] if name == "features" else [image, x])

    @property
    def kept(self) -> int:
        return sum(buffer.size for buffer in self.saved)

    def live(self, *buffers: _Buffer) -> None:
        self.peak = max(self.peak, sum(buffer.size for buffer in {*buffers}))

    def block(self, block: Block, x: _Buffer, held: list[_Buffer]) -> _Buffer:
        """Run one unit while its caller holds some buffers."""
        x = self.chain(block.before, x, held)
        if block.shortcut is None:
            return self.chain(block.after, self.chain(block.residual, x, held), held)
        held = [*held, x]
        factors = self.factors(block, x, held)
        around = [*held, *(factor for factor in factors if factor)]
        if self.kind in SCALED:
            shortcut = self.scaled(self.chain(block.shortcut, x, around), factors[0], around)
            residual = self.scaled(self.chain(block.residual, x, [*around, shortcut]), factors[1], around)
            total = _floats(block.outputs.elements)
        else:
            residual = self.chain(block.residual, x, around)
            shortcut = self.chain(block.shortcut, x, [*around, residual])
            total = residual if block.adds_in_place else _floats(block.outputs.elements)
        self.live(*around, shortcut, residual, total)
        return self.chain(block.after, total, held)

    def factors(self, block: Block, x: _Buffer, held: list[_Buffer]) -> tuple[_Buffer | None, _Buffer | None]:
        """What scales shortcut and residual, where a gate is computed."""
        if not block.gate:
            return None, None
        raw, gate, rest = (_floats(block.outputs.elements) for _ in range(3))
        self.saved |= {x, gate}
        self.live(*held, raw, gate)
        self.live(*held, gate, rest)
        return rest, gate if self.kind == "exclusive_gating" else None

    def scaled(self, x: _Buffer, factor: _Buffer | None, held: list[_Buffer]) -> _Buffer:
        """Multiply by a factor: a gate, or a number that needs nothing kept."""
        if factor:
            self.saved |= {x, factor}
        product = _Buffer(x.size)
        self.live(*held, x, product)
        return product

    @property
    def kind(self) -> str | None:
        return self.spec.shortcut if isinstance(self.spec, Spec) else None

    def chain(self, chain: Chain, x: _Buffer, held: list[_Buffer]) -> _Buffer:
        """Run layers one after the other, each buffer freed when the next is there."""
        for _, layer in chain:
            y, extra = self.layer(layer, x)
            self.live(*held, x, y, *extra)
            x = y
        return x

    def layer(self, layer: Layer, x: _Buffer) -> tuple[_Buffer, list[_Buffer]]:
        """Return the output of one layer and what else it needs meanwhile."""
        y = _floats(layer.outputs.elements)
        match layer.kind:
            case "convolution" | "linear":
                self.saved.add(x)
            case "norm":
                return self.normed(layer, x, y)
            case "relu":
                y = x if layer.inplace else y
                self.saved.add(y)
            case "max_pool":
                return self.pooled(layer, x, y)
            case "average_pool" | "adaptive_pool":
                return self.averaged(layer, x, y)
            case "flatten":
                y = x
            case "subsample" if layer.inputs.channels == layer.outputs.channels:
                y = x
            case "dropout" | "stochastic_depth":
                return self.dropped(layer, x, y)
            case "squeeze_excitation":
                return self.excited(layer, x, y)
        return y, []

    def normed(self, layer: Layer, x: _Buffer, y: _Buffer) -> tuple[_Buffer, list[_Buffer]]:
        """Keep the input; group norm also keeps two numbers a group, ours in plain steps two more copies."""
        if self.spec.norm == "batch_first_principles":
            centred, scaled = _Buffer(x.size), _Buffer(x.size)
            self.saved |= {centred, scaled}
            return y, [centred]
        self.saved.add(x)
        if isinstance(self.spec, Spec) and self.spec.norm == "group":
            statistics = _floats(2 * groups_of(self.spec, layer.inputs.channels))
            self.saved.add(statistics)
            return y, [statistics]
        return y, []

    def pooled(self, layer: Layer, x: _Buffer, y: _Buffer) -> tuple[_Buffer, list[_Buffer]]:
        """A max pool keeps its input and the places of the maxima; zeros around it make a copy."""
        if layer.border == "zeros":
            x = _floats(layer.inputs.channels * (layer.inputs.side + 2) ** 2)
        places = _Buffer(INDEX * layer.outputs.elements)
        self.saved |= {x, places}
        return y, [x, places]

    def averaged(self, layer: Layer, x: _Buffer, y: _Buffer) -> tuple[_Buffer, list[_Buffer]]:
        """Averages keep their input; that of a whole image is a mean, the dilated one four sums."""
        if layer.kind == "average_pool" and layer.stride == 1:
            channels, side, padded = *layer.inputs, layer.inputs.side + layer.dilation
            return y, [_floats(channels * padded * padded), _floats(channels * side * padded)]
        if layer.kind == "average_pool" or layer.outputs.side > 1:
            self.saved.add(x)
        return y, []

    def dropped(self, layer: Layer, x: _Buffer, y: _Buffer) -> tuple[_Buffer, list[_Buffer]]:
        """In training a mask is kept: of every number, or one of the whole image."""
        if not self.training:
            return x, []
        self.saved.add(_floats(layer.outputs.elements if layer.kind == "dropout" else 1))
        return y, []

    def excited(self, layer: Layer, x: _Buffer, y: _Buffer) -> tuple[_Buffer, list[_Buffer]]:
        mean, raw, gate = (_floats(layer.inputs.channels) for _ in range(3))
        self.saved |= {x, mean, _floats(layer.hidden), gate}
        return y, [raw, gate]


def _floats(elements: int) -> _Buffer:
    return _Buffer(FLOAT * elements)
