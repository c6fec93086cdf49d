"""Recognise what a file holds, account for every tensor, and turn it into a model."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path

import torch
from torch import Tensor

from residua.errors import UserError, unknown
from residua.nets.network import build_network
from residua.nets.plan import plan
from residua.nets.spec import AnySpec
from residua.nets.zoo import title
from residua.weights.layouts import LAYOUTS
from residua.weights.layouts.base import Layout, Match, inference
from residua.weights.metadata import Metadata
from residua.weights.modelfile import inspect, is_model_file
from residua.weights.sources import Source, read_source

MOST_CHANNELS = 64
SHOWN = 8  # names of tensors in an error


@dataclass(frozen=True)
class Converted:
    """A network's spec and weights, and what was done to get them."""

    spec: AnySpec
    state: dict[str, Tensor]
    layout: str
    steps: tuple[str, ...]
    source: Source
    stated: Metadata | None = None  # what a model file of ours says
    new_classifier: bool = False  # which knows nothing yet


def read(
    source: str | Path,
    *,
    model: str | None = None,
    layout: str = "auto",
    num_classes: int | None = None,
    in_channels: int | None = None,
    drop_background: bool = False,
    ignore: Sequence[str] = (),
    ema: bool = False,
) -> Converted:
    """Read anyone's weights; every tensor of the file and of the network is accounted for."""
    path = Path(source)
    stated = inspect(path) if is_model_file(path) else None
    found = read_source(path, ema)
    ignored = [key for key in found.tensors if any(fnmatchcase(key, pattern) for pattern in ignore)]
    idle = [p for p in ignore if not any(fnmatchcase(key, p) for key in found.tensors)]
    if idle:
        raise UserError(f"--ignore {idle[0]!r} matches no tensor of {path}.")
    found = replace(found, tensors={k: v for k, v in found.tensors.items() if k not in ignored})
    _refuse_broken_numbers(found)
    if stated and model is None and layout == "auto":
        match = LAYOUTS["residua"].compare(stated.spec, found.tensors)
        if not _fits(match, num_classes is not None):
            raise UserError(_nothing_fits(found, [match], title(stated.spec)))
    else:
        match = _recognised(found, model, layout, num_classes is not None)
    state = match.layout.read(match.spec, found.tensors)
    steps = [*found.notes, *(f"ignored {key}" for key in ignored)]
    whose = stated.provenance.layout if stated else match.layout.name
    spec, state, new = _adapted(match.spec, state, steps, num_classes, in_channels, drop_background, whose)
    return Converted(spec, _whole(spec, state), match.layout.name, tuple(steps), found, stated, new)


def _refuse_broken_numbers(source: Source) -> None:
    """A network with NaN, infinity or a negative variance computes nothing."""
    broken = [
        name
        for name, tensor in source.tensors.items()
        if tensor.is_floating_point() and not tensor.isfinite().all()
    ]
    if broken:
        raise UserError(f"{source.path} has numbers that are not finite in {_some(broken)}.")
    negative = [
        name
        for name, tensor in source.tensors.items()
        if name.endswith(("running_var", "moving_variance")) and (tensor < 0).any()
    ]
    if negative:
        raise UserError(f"{source.path} has negative variances in {_some(negative)}.")


def _recognised(source: Source, model: str | None, layout: str, headless: bool) -> Match:
    """Find the one function that the tensors fit."""
    if layout != "auto" and layout not in LAYOUTS:
        raise unknown("layout", layout, LAYOUTS)
    chosen = list(LAYOUTS.values()) if layout == "auto" else [LAYOUTS[layout]]
    matches = [match for each in chosen for match in _matches(each, source, model)]
    fitting = [match for match in matches if _fits(match, headless)]
    # Our own names leave no trace of whose they are: another library's claim goes first.
    foreign = [match for match in fitting if match.layout.name != "residua"]
    functions = {inference(match.spec): match for match in reversed(foreign or fitting)}
    if len(functions) == 1:
        return next(iter(functions.values()))
    if functions:
        names = ", ".join(sorted(title(match.spec) for match in functions.values()))
        raise UserError(
            f"{source.path} fits networks of different function: {names}; say which with --model."
        )
    raise UserError(_nothing_fits(source, matches, model))


def _matches(layout: Layout, source: Source, model: str | None) -> list[Match]:
    candidates: Iterable[AnySpec]
    if model is None:
        candidates = layout.candidates(source.tensors, source.config)
    elif any(fnmatchcase(model, pattern) for pattern in layout.members):
        candidates = [layout.fitted(layout.base(model), source.tensors)]
    else:
        candidates = []
    return [layout.compare(candidate, source.tensors) for candidate in candidates]


def _fits(match: Match, headless: bool) -> bool:
    """Whether all is there; where a new head is asked for, the old one may be missing."""
    head = {row.theirs for row in match.layout.head_rows(match.spec)} if headless else set()
    return not match.unexpected and not match.misshapen and set(match.missing) <= head


def _nothing_fits(source: Source, matches: list[Match], model: str | None) -> str:
    if not matches:
        return f"{source.path} fits no network that Residua knows: --model and --layout say what it is."
    best = min(matches, key=lambda match: match.problems)
    if not model and best.problems > len(source.tensors):
        return f"{source.path} fits no network that Residua knows: --model and --layout say what it is."
    parts = [
        f"{kind} {_some(names)}"
        for kind, names in (
            ("missing", best.missing),
            ("unexpected", best.unexpected),
            ("of another shape", best.misshapen),
        )
        if names
    ]
    if not best.unexpected and set(best.missing) == {row.theirs for row in best.layout.head_rows(best.spec)}:
        return f"{source.path} is {title(best.spec)} without its classifier: --num-classes N makes a new one."
    nearest = f"{title(best.spec)} in the layout {best.layout.name}"
    return f"{source.path} is nearest to {nearest}, but {'; '.join(parts)}."


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more


def _adapted(
    spec: AnySpec,
    state: dict[str, Tensor],
    steps: list[str],
    num_classes: int | None,
    in_channels: int | None,
    drop_background: bool,
    layout: str,
) -> tuple[AnySpec, dict[str, Tensor], bool]:
    """Do what was asked for by name, and write it down; whether the classifier is a new one."""
    first, last = _ends(spec)
    if drop_background and layout != "slim":
        raise UserError("--drop-background is for TF-Slim's networks: no other's class 0 is the background.")
    if drop_background:
        spec, state = _without_background(spec, state, last)
        steps.append("dropped the background class")
    whole = {f"{last}.weight", f"{last}.bias"} <= state.keys()
    new = num_classes is not None and (num_classes != spec.num_classes or not whole)
    if new:
        spec = spec.edit(num_classes=num_classes)
        state |= {
            k: v for k, v in build_network(plan(spec)).state_dict().items() if k.rpartition(".")[0] == last
        }
        steps.append(f"replaced the classifier by a new one of {num_classes} classes")
    if in_channels is not None and in_channels != spec.in_channels:
        spec = spec.edit(in_channels=in_channels)
        if in_channels > MOST_CHANNELS:
            raise UserError(
                f"in_channels={in_channels} is not valid: at most {MOST_CHANNELS} are adapted to."
            )
        state[f"{first}.weight"] = _stem_for(state[f"{first}.weight"], in_channels, steps)
    return spec, state, new


def _without_background(
    spec: AnySpec, state: dict[str, Tensor], last: str
) -> tuple[AnySpec, dict[str, Tensor]]:
    """Take away class 0, which TF-Slim trains for what is none of the others."""
    parts = [f"{last}.weight", f"{last}.bias"]
    if not state.keys() >= set(parts):
        raise UserError("there is no background class to drop: the file has no classifier.")
    if spec.num_classes == 1:
        raise UserError("there is no background class to drop: the classifier has 1 class.")
    rest = {name: state[name][1:].contiguous() for name in parts}
    return spec.edit(num_classes=spec.num_classes - 1), state | rest


def _stem_for(weight: Tensor, channels: int, steps: list[str]) -> Tensor:
    """Sum the stem over its channels for one, or repeat them, so that equal channels give equal sums."""
    old = weight.shape[1]
    if channels == 1:
        steps.append(f"summed the stem's {old} channels into one")
        return weight.sum(1, keepdim=True)
    steps.append(f"repeated the stem's {old} channels to {channels}, scaled by {old}/{channels}")
    places = [place % old for place in range(channels)]
    return weight[:, places] * (old / channels)


def _ends(spec: AnySpec) -> tuple[str, str]:
    """Names of the first convolution and of the classifier."""
    layers = list(plan(spec).layers)
    first = next(name for name, layer in layers if layer.kind == "convolution")
    return first, next(name for name, layer in reversed(layers) if layer.kind == "linear")


def _whole(spec: AnySpec, state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Bring the state dict into our order and types; batches that nobody counted are 0."""
    with torch.device("meta"):
        wanted = build_network(plan(spec)).state_dict()
    return {
        name: state[name].to(target.dtype) if name in state else torch.zeros(target.shape, dtype=target.dtype)
        for name, target in wanted.items()
    }
