"""From a name to a network, in one call, with published weights if asked."""

from __future__ import annotations

from pathlib import Path
from typing import Any, overload

from residua.errors import UserError
from residua.nets.network import Network, Vgg, build_network
from residua.nets.plan import plan
from residua.nets.spec import AnySpec, Spec, VggSpec
from residua.nets.zoo import VggName, has_own_name, spec, title


@overload
def create(network: VggName | VggSpec, /, *, weights: str | None = None, **fields: Any) -> Vgg: ...


@overload
def create(network: str | Spec, /, *, weights: str | None = None, **fields: Any) -> Network: ...


def create(network: str | AnySpec, /, *, weights: str | None = None, **fields: Any) -> Network | Vgg:
    """Build a network by name or from a spec, with any field changed.

    `weights` is "imagenet" (the best published ones), "imagenet-v1", "imagenet-v2", a path or a URL. Other
    `num_classes` then get a new classifier, other `in_channels` an adapted first convolution.

    >>> create("cifar_resnet20", num_classes=100, projection="B").spec.num_classes
    100
    """
    wanted = spec(network, **fields)
    built = build_network(plan(wanted))
    if weights is not None:
        _load(built, wanted, weights)
    return built


def _load(built: Network | Vgg, wanted: AnySpec, weights: str) -> None:
    from residua.weights.convert import read
    from residua.weights.layouts.base import inference
    from residua.weights.modelfile import is_model_file

    path = _file(wanted.name, weights)
    says_itself = path.is_dir() or is_model_file(path)
    found = read(
        path,
        model=None if says_itself or has_own_name(wanted) else wanted.name or None,
        num_classes=wanted.num_classes,
        in_channels=wanted.in_channels,
    )
    if (says_itself or has_own_name(wanted)) and inference(found.spec) != inference(wanted):
        raise UserError(f"{path} is {title(found.spec)}, not {title(wanted)}.")
    try:
        built.load_state_dict(found.state)
    except RuntimeError as error:
        reason = str(error).splitlines()[1].strip()
        raise UserError(f"the weights do not fit {title(wanted)}: {reason}") from None


def _file(name: str, weights: str) -> Path:
    from residua.weights.conversion import located
    from residua.weights.download import fetch, show_progress
    from residua.weights.published import published

    if not weights.startswith("imagenet"):
        return located(weights, show_progress)
    version = weights.removeprefix("imagenet").removeprefix("-").upper() or None
    entry = published(name, version)
    return fetch(entry.url, sha256=entry.sha256, file_name=entry.file_name, progress=show_progress)
