"""Write what torchvision and timm call and compute: names, shapes, and logits of weights that a rule gives.

    python scripts/write_library_fixtures.py        (where torchvision and timm are installed)

tests/weights/libraries.json holds the result, so that the tests need neither library.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import torch
from torch import Tensor, nn

FILE = Path(__file__).parent.parent / "tests" / "weights" / "libraries.json"
TORCHVISION = {"resnet18": "resnet", "resnet50": "resnet", "resnext50_32x4d": "resnet", "vgg16_bn": "vgg"}
TIMM = {
    "resnet18": "resnet",
    "resnet50d": "resnet",
    "seresnet50": "resnet",
    "resnetv2_18": "resnetv2",
    "resnetv2_50": "resnetv2",
}
SIDES = (64, 65)


def filled(name: str, shape: torch.Size, dtype: torch.dtype) -> Tensor:
    """Weights that depend on the tensor's name alone, and keep a network's numbers in bounds."""
    if not dtype.is_floating_point:
        return torch.zeros(shape, dtype=dtype)
    draw = torch.Generator().manual_seed(zlib.crc32(name.encode()))
    if name.endswith("running_var"):
        return torch.rand(shape, generator=draw) + 0.5
    values = torch.randn(shape, generator=draw)
    if len(shape) > 1:
        return values.mul((2 / shape[1:].numel()) ** 0.5)
    return values * 0.1 + (0.7 if name.endswith("weight") else 0)


def image(side: int) -> Tensor:
    """Draw the image that a side stands for."""
    return torch.randn(1, 3, side, side, generator=torch.Generator().manual_seed(side))


def recorded(network: nn.Module) -> dict[str, object]:
    """Fill a network and note its names, shapes and logits."""
    state = {name: filled(name, t.shape, t.dtype) for name, t in network.state_dict().items()}
    network.load_state_dict(state)
    network.eval()
    with torch.inference_mode():
        logits = {str(side): network(image(side))[0, :8].tolist() for side in SIDES}
    return {"shapes": {name: list(tensor.shape) for name, tensor in state.items()}, "logits": logits}


def maker(library: str, module: str, name: str) -> Callable[[], nn.Module]:
    """Find a library's function that makes a network."""
    made: Callable[[], nn.Module] = getattr(import_module(f"{library}.models.{module}"), name)
    return made


def main() -> None:
    """Record every listed network of both libraries."""
    data = {
        f"{library}/{name}": recorded(maker(library, module, name)())
        for library, names in (("torchvision", TORCHVISION), ("timm", TIMM))
        for name, module in names.items()
    }
    FILE.write_text(json.dumps(data, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
