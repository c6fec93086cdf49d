"""What PyTorch really keeps: measured on storages, so that views and in-place results count once."""

import weakref
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


def weights(network: nn.Module) -> list[Tensor]:
    return [*network.parameters(), *network.buffers()]


def saved_for_backward(network: nn.Module, images: Tensor) -> int:
    """Bytes that autograd keeps, weights left out."""
    own = {tensor.untyped_storage().data_ptr() for tensor in weights(network)}
    kept: dict[int, Tensor] = {}

    def pack(tensor: Tensor) -> Tensor:
        place = tensor.untyped_storage().data_ptr()
        if place not in own:
            kept[place] = tensor
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        network.train()(images)
    return sum(tensor.untyped_storage().nbytes() for tensor in kept.values())


class _Live(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch's is untyped
    """Counts the bytes of all storages alive, and remembers the most."""

    def __init__(self, known: list[Tensor]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.sizes = {tensor.untyped_storage()._cdata: 0 for tensor in known}
        self.now = self.peak = 0

    def add(self, tensor: Tensor) -> None:
        storage = tensor.untyped_storage()
        if storage._cdata in self.sizes:
            return
        self.sizes[storage._cdata] = storage.nbytes()
        self.now += storage.nbytes()
        self.peak = max(self.peak, self.now)
        weakref.finalize(storage, self.free, storage._cdata)

    def free(self, place: int) -> None:
        self.now -= self.sizes.pop(place)

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = function(*args, **(kwargs or {}))
        for leaf in tree_leaves(result):
            if isinstance(leaf, Tensor):
                self.add(leaf)
        return result


def inference_peak(network: nn.Module, images: Tensor) -> int:
    """Most bytes of activations alive at once, the images among them."""
    network.eval()
    live = _Live(weights(network))
    with torch.no_grad(), live:
        live.add(images)
        network(images)
    return live.peak
