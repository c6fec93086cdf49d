"""From a name to a network, in one call."""

from __future__ import annotations

from typing import Any, overload

from residua.nets.network import Network, Vgg, build_network
from residua.nets.plan import plan
from residua.nets.spec import AnySpec, Spec, VggSpec
from residua.nets.zoo import VggName, spec


@overload
def create(network: VggName | VggSpec, **fields: Any) -> Vgg: ...


@overload
def create(network: str | Spec, **fields: Any) -> Network: ...


def create(network: str | AnySpec, **fields: Any) -> Network | Vgg:
    """Build a network by name or from a spec, with any field changed.

    >>> create("cifar_resnet20", num_classes=100, projection="B").spec.num_classes
    100
    """
    return build_network(plan(spec(network, **fields)))
