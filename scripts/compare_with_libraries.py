"""Compare converted networks with the libraries that they come from.

    python scripts/compare_with_libraries.py [NAME ...]

For each library that is installed, and each network that it shares with Residua (or those named), the library
makes random weights and writes its own file, Residua converts the file, and both compute the logits of the
same images, of an even and of an odd side. Exits 1 if any differ, or if nothing could be compared.

    pip install torchvision timm                    # both need the build that fits your PyTorch
    pip install tensorflow-cpu tf_slim tf_keras     # tf_keras from TensorFlow 2.16 on
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from residua import UserError, create
from residua.errors import unknown
from residua.weights.convert import read
from residua.weights.layouts import LAYOUTS

SIDES = (224, 225)
OLD_LAYERS = ("", ".base", ".convolutional", ".core", ".normalization", ".pooling")


class Peer(Protocol):
    """A library's network with random weights."""

    def save(self, folder: Path) -> Path:
        """Write the weights as the library does, and say where."""

    def logits(self, images: Tensor) -> Tensor:
        """Compute the logits of images (N, channels, height, width)."""


@dataclass(frozen=True)
class Library:
    """Where networks come from, which layouts it writes, and how near ours must come."""

    name: str
    modules: tuple[str, ...]
    layouts: tuple[str, ...]
    has: Callable[[str], bool]
    build: Callable[[str], Peer]
    limit: float = 1e-5

    def names(self) -> list[str]:
        """Networks that this library and Residua share."""
        return [name for layout in self.layouts for name in LAYOUTS[layout].names() if self.has(name)]

    def problem(self) -> str | None:
        """Why it cannot be imported."""
        for module in self.modules:
            try:
                import_module(module)
            except Exception as error:  # a library built for another PyTorch raises anything
                return f"{type(error).__name__}: {error}".splitlines()[0]
        return None


class TorchPeer:
    """A network of torchvision or timm."""

    def __init__(self, model: nn.Module) -> None:
        self.model = model.eval()
        for module in model.modules():
            randomize(module)

    def save(self, folder: Path) -> Path:
        """A state dict."""
        torch.save(self.model.state_dict(), folder / "model.pth")
        return folder / "model.pth"

    def logits(self, images: Tensor) -> Tensor:
        """The module's own."""
        found: Tensor = self.model(images)
        return found


@torch.no_grad()
def randomize(module: nn.Module) -> None:
    """Draw what libraries begin with 0 or 1: statistics, gains and biases."""
    if isinstance(module, nn.BatchNorm2d):
        for name in ("weight", "running_var"):
            getattr(module, name).uniform_(0.5, 1.5)
        for name in ("bias", "running_mean"):
            getattr(module, name).normal_(0, 0.2)
    elif isinstance(module, (nn.Conv2d, nn.Linear)) and module.bias is not None:
        module.bias.normal_(0, 0.2)


class SlimPeer:
    """A network of TF-Slim."""

    def __init__(self, name: str) -> None:
        self.tf = tensorflow()
        slim, module, function = import_module("tf_slim"), *slim_place(name)
        classes = 1001 if "v2" in name else 1000
        with self.tf.Graph().as_default():
            self.session = self.tf.Session()
            self.images = self.tf.placeholder(self.tf.float32, [None, None, None, 3])
            with slim.arg_scope(module.resnet_arg_scope()):
                self.output, _ = getattr(module, function)(self.images, classes, is_training=False)
            for variable in self.tf.global_variables():
                variable.load(drawn(variable.op.name, variable.shape.as_list()).numpy(), self.session)
            self.saver = self.tf.train.Saver()

    def save(self, folder: Path) -> Path:
        """A checkpoint, by the prefix of its files."""
        return Path(self.saver.save(self.session, str(folder / "model.ckpt"), write_meta_graph=False))

    def logits(self, images: Tensor) -> Tensor:
        """TensorFlow's, whose images have the channels last."""
        inputs = images.permute(0, 2, 3, 1).numpy()
        return torch.from_numpy(self.session.run(self.output, {self.images: inputs})).flatten(1)


def drawn(name: str, shape: Sequence[int]) -> Tensor:
    """Random values for a variable of TF-Slim."""
    if name.endswith("/weights"):
        return nn.init.kaiming_normal_(torch.empty(*reversed(shape))).permute(3, 2, 1, 0)
    if name.endswith(("/gamma", "/moving_variance")):
        return torch.rand(*shape) + 0.5
    return torch.randn(*shape) * 0.2


def tensorflow() -> Any:
    """TensorFlow as it was before 2.0, which TF-Slim is written for."""
    tf = import_module("tensorflow.compat.v1")
    with suppress(ImportError):  # an old TensorFlow brings its own, a new one looks in the wrong place
        for part in OLD_LAYERS:
            old = import_module(f"tf_keras.src.legacy_tf_layers{part}")
            sys.modules[f"tf_keras.legacy_tf_layers{part}"] = old
    tf.disable_eager_execution()
    return tf


def slim_place(name: str) -> tuple[Any, str]:
    """TF-Slim's module and function for a network."""
    function = name.removeprefix("slim_")
    return import_module(f"tf_slim.nets.{function.rpartition('_')[0]}"), function


def torchvision_network(name: str) -> TorchPeer:
    """A network of torchvision."""
    return TorchPeer(import_module("torchvision.models").get_model(name, weights=None))


def timm_network(name: str) -> TorchPeer:
    """A network of timm."""
    return TorchPeer(import_module("timm").create_model(name, pretrained=False))


LIBRARIES = (
    Library(
        "torchvision",
        ("torchvision",),
        ("torchvision",),
        lambda name: name in import_module("torchvision.models").list_models(),
        torchvision_network,
    ),
    Library(
        "timm",
        ("timm",),
        ("timm", "timm-v2"),
        lambda name: bool(import_module("timm").is_model(name)),
        timm_network,
    ),
    Library(
        "TF-Slim",
        ("tensorflow", "tf_slim"),
        ("slim",),
        lambda name: hasattr(*slim_place(name)),
        SlimPeer,
        limit=1e-4,
    ),
)


def compare(peer: Peer) -> list[float]:
    """Convert a peer's file, and measure how far apart the logits are, relative to the largest."""
    with TemporaryDirectory() as folder:
        converted = read(peer.save(Path(folder)))
    network = create(converted.spec).eval()
    network.load_state_dict(converted.state)
    errors = []
    for side in SIDES:
        images = torch.randn(2, 3, side, side)
        with torch.inference_mode():
            theirs = peer.logits(images)
            errors.append(float((network(images) - theirs).abs().max() / theirs.abs().max()))
    return errors


def compared(library: Library, name: str) -> bool:
    """Print one row of the table, and say whether it is as it should be."""
    torch.manual_seed(0)
    label = f"{library.name:<12}{name:<22}"
    try:
        errors = compare(library.build(name))
    except UserError as error:
        print(f"{label}REFUSED: {error}", flush=True)
        return False
    equal = all(error <= library.limit for error in errors)  # nothing is equal to NaN
    numbers = "".join(f"{error:>12.1e}" for error in errors)
    print(f"{label}{numbers}{'' if equal else f'  MORE THAN {library.limit:g}'}", flush=True)
    return equal


def asked() -> list[str]:
    """Names on the command line."""
    parser = argparse.ArgumentParser(description="Compare with the libraries that networks come from.")
    parser.add_argument("names", nargs="*", metavar="NAME", help="networks by Residua's names (default: all)")
    names: list[str] = parser.parse_args().names
    known = {name for library in LIBRARIES for layout in library.layouts for name in LAYOUTS[layout].names()}
    for name in names:
        if name not in known:
            parser.error(str(unknown("network", name, known)))
    return names


def main() -> int:
    """Compare with all that is installed."""
    names = asked()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    results = []
    print(f"{'library':<12}{'network':<22}" + "".join(f"{f'side {side}':>12}" for side in SIDES))
    for library in LIBRARIES:
        if problem := library.problem():
            print(f"{library.name:<12}not compared, it cannot be imported ({problem})")
            continue
        results += [compared(library, name) for name in library.names() if not names or name in names]
    if not results:
        print("Nothing was compared.")
    return 0 if results and all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
