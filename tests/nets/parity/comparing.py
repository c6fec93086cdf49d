"""Two networks with the same weights, run on the same images and compared tensor by tensor."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Collection
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from residua import Network, create, recalibrate
from residua.nets.network import Unit
from residua.nets.plan import Plan

Tensors = dict[str, Tensor]

EVALUATION = 1e-5
TRAINING = {torch.float32: 1e-3, torch.float64: 1e-9}


def as_it_is(tensor: Tensor) -> Tensor:
    return tensor


@dataclass(frozen=True)
class Model:
    """A network of any library, with its own tensors under residua's names."""

    forward: Callable[[Tensor, bool], Tensor]  # from images (N, C, H, W) and whether it trains, to logits
    parameters: Tensors
    statistics: Tensors
    turn: Callable[[Tensor], Tensor] = as_it_is  # a view of one of its parameters in PyTorch's layout


def from_torch(network: nn.Module, name: Callable[[str], str], logits: Callable[[Any], Tensor]) -> Model:
    """Wrap a PyTorch network, given residua's name for each of its own."""

    def forward(images: Tensor, training: bool) -> Tensor:
        network.train(training)
        return logits(network(images))

    buffers = {name(key): value for key, value in network.named_buffers() if "num_batches" not in key}
    return Model(forward, {name(key): value for key, value in network.named_parameters()}, buffers)


def residuas(network: Network) -> Model:
    return from_torch(network, str, as_it_is)


@torch.no_grad()
def copy(source: Model, target: Model) -> None:
    """Give a model the weights of residua's, each under its name and none left over."""
    for ours, theirs, turn in (
        (source.parameters, target.parameters, target.turn),
        (source.statistics, target.statistics, as_it_is),
    ):
        assert ours.keys() == theirs.keys()
        for name, value in ours.items():
            place = turn(theirs[name])
            assert place.shape == value.shape, name
            place.copy_(value)


def outcome(model: Model, batch: Tensor, momentum: float | None) -> Tensors:
    """Logits, gradients of one fixed loss, and what the batch brought to the statistics.

    That last is the batch's own mean and variance, if one batch moves the statistics by the given momentum;
    None is for evaluation. The statistics themselves consist mostly of what they were before, which would
    hide a wrong variance.
    """
    before = {name: value.clone() for name, value in model.statistics.items()}
    batch = batch.clone().requires_grad_()
    logits = model.forward(batch, momentum is not None)
    wanted = torch.randn(logits.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert logits.dtype == batch.dtype
    loss = (logits * wanted.to(logits.dtype)).sum()
    of_batch, *gradients = torch.autograd.grad(loss, [batch, *model.parameters.values()])
    found = {"logits": logits.detach(), "gradient of input": of_batch}
    for name, gradient in zip(model.parameters, gradients, strict=True):
        found[f"gradient of {name}"] = model.turn(gradient)
    if momentum is not None:
        for name, old in before.items():
            found[f"batch in {name}"] = (model.statistics[name] - (1 - momentum) * old) / momentum
    return found


def same(found: Tensors, wanted: Tensors, limit: float, leaving_out: Collection[str] = ()) -> None:
    """Check that every tensor differs by no more than the limit, relative to what is wanted."""
    assert found.keys() == wanted.keys()
    assert wanted.keys() >= set(leaving_out)
    differences = {name: relative(found[name], wanted[name]) for name in found if name not in leaving_out}
    too_large = [f"{name}: {value:.1e}" for name, value in differences.items() if not value <= limit]
    assert not too_large, f"{len(too_large)} of {len(found)} tensors differ: {'; '.join(too_large[:9])}"


def relative(found: Tensor, wanted: Tensor) -> float:
    assert found.shape == wanted.shape
    return float((found - wanted).double().norm() / wanted.double().norm())


def without_effect(planned: Plan) -> set[str]:
    """Gradients that are zero in training but for rounding: of biases that a batch norm takes away again.

    That is a bias directly before a norm; and, where the stream of additions runs only into norms, a bias
    that ends on it. The stem's is saved from that by a pool that compares it to zeros.
    """
    stream_runs_into_norms = planned.spec.to_dict()["order"] == "full_preactivation"
    compared_to_zeros = any(layer.border == "zeros" for _, layer in planned.layers)
    found = set()
    for name, block in planned.blocks:
        prefix = f"{name}." if name else ""
        onto_stream = stream_runs_into_norms and not (name == "" and compared_to_zeros)
        for chain in (block.residual, block.shortcut or ()):
            followers = [layer.kind for _, layer in chain[1:]] + [None]
            for (step, layer), follower in zip(chain, followers, strict=False):
                swallowed = follower == "norm" or (follower is None and onto_stream)
                if layer.kind == "convolution" and layer.bias and swallowed:
                    found.add(f"gradient of {prefix}{step}.bias")
    return found


class Case(NamedTuple):
    """A network with random weights, and images for it."""

    network: Network
    batch: Tensor


def case(name: str, dtype: torch.dtype, count: int, side: int, training: bool, **fields: Any) -> Case:
    """Draw a network and images; the same numbers in every precision.

    Where a ReLU's input is next to zero, or a pool's two largest are next to each other, rounding alone
    decides which way a gradient goes, so such images and weights are avoided.
    """
    network = deepcopy(_drawn(name, tuple(sorted(fields.items()))))
    batches = (_images(count, side, seed) for seed in itertools.count())
    batch = next(batch for batch in batches if _has_clear_maxima(network, batch))
    _keep_off_zero(network, batch, training)
    return Case(network.to(dtype), batch.to(dtype))


def _images(count: int, side: int, seed: int) -> Tensor:
    numbers = torch.Generator().manual_seed(1000 * seed + side)
    return torch.randn(count, 3, side, side, generator=numbers, dtype=torch.float64)


@functools.lru_cache(maxsize=2)
def _drawn(name: str, fields: tuple[tuple[str, Any], ...]) -> Network:
    network = create(name, **dict(fields))
    numbers = torch.Generator().manual_seed(len(name))
    for part in network.modules():
        _draw(part, numbers)
    for unit in network.units:
        _quieten(unit)
    _set_statistics(network.double(), numbers)
    return network


@torch.no_grad()
def _draw(part: nn.Module, numbers: torch.Generator) -> None:
    """Draw one layer."""
    if isinstance(part, nn.BatchNorm2d):
        part.weight.uniform_(0.5, 1.5, generator=numbers)
        part.bias.uniform_(-1, 1, generator=numbers)
    elif isinstance(part, (nn.Conv2d, nn.Linear)):
        part.weight.normal_(0, part.weight[0].numel() ** -0.5, generator=numbers)
        if part.bias is not None:
            part.bias.normal_(generator=numbers)


@torch.no_grad()
def _quieten(unit: Unit) -> None:
    """Let a residual be small, so that sums of many do not grow."""
    last = [name for name, layer in unit.block.residual if layer.kind in ("convolution", "norm")][-1]
    for value in unit.get_submodule(last).parameters():
        value.mul_(0.1)


@torch.no_grad()
def _set_statistics(network: Network, numbers: torch.Generator) -> None:
    """Take the running statistics of a batch, and disturb them so that they are no batch's own."""
    recalibrate(network, [_images(4, 64, 0)])
    for part in network.modules():
        if isinstance(part, nn.BatchNorm2d):
            mean, var = part.running_mean, part.running_var
            assert mean is not None
            assert var is not None
            mean.add_(var.sqrt() * torch.empty_like(var).uniform_(-0.3, 0.3, generator=numbers))
            var.mul_(torch.empty_like(var).uniform_(0.8, 1.25, generator=numbers))


def _has_clear_maxima(network: Network, batch: Tensor) -> bool:
    """Whether the stem's pool takes the same pixels if each changes by some millionths."""
    pool = network._modules.get("maxpool")
    if pool is None:
        return True
    seen: list[Tensor] = []
    hook = pool.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    network.eval().stem(batch)
    hook.remove()
    x = seen[0].detach()
    weights = torch.rand_like(pool(x))  # so that two taken pixels are told apart

    def taken(x: Tensor) -> Tensor:
        x = x.requires_grad_()
        return torch.autograd.grad((pool(x) * weights).sum(), x)[0]

    numbers = torch.Generator().manual_seed(0)
    noise = torch.randn(x.shape, generator=numbers, dtype=x.dtype)
    return bool(torch.equal(taken(x), taken(x * (1 + 3e-6 * noise))))


@torch.no_grad()
def _keep_off_zero(network: Network, batch: Tensor, training: bool) -> None:
    """Shift every norm's beta a little, so that zero lies amid a wide gap of the next ReLU's inputs.

    A ReLU that follows an addition is moved by the last norm that ran, the residual's or a projection's.
    """
    ran: list[nn.BatchNorm2d] = []

    def shift(_: nn.Module, inputs: tuple[Tensor, ...]) -> Tensor:
        change = _to_a_gap(inputs[0].transpose(0, 1).flatten(1))
        ran[-1].bias.add_(change)
        return inputs[0] + change.view(1, -1, 1, 1)

    hooks = []
    for part in network.modules():
        if isinstance(part, nn.BatchNorm2d):
            hooks.append(part.register_forward_hook(lambda norm, *_: ran.append(norm)))
        elif isinstance(part, nn.ReLU):
            hooks.append(part.register_forward_pre_hook(shift))
    statistics = {name: value.clone() for name, value in network.named_buffers()}
    network.train(training)(batch)
    for hook in hooks:
        hook.remove()
    for name, value in network.named_buffers():
        value.copy_(statistics[name])


def _to_a_gap(values: Tensor) -> Tensor:
    """Small shift of each row of values that leaves none of them near zero."""
    ordered = values.sort(1).values
    middles, gaps = (ordered[:, 1:] + ordered[:, :-1]) / 2, ordered.diff(dim=1)
    near = middles.abs() <= values.std(1, keepdim=True) / 4
    widest = gaps.where(near, 0).argmax(1, keepdim=True)
    return -middles.where(near, 0).gather(1, widest).squeeze(1)
