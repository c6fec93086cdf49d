"""The first job: build networks, hold them against their plans, print their tables and draw them."""

from __future__ import annotations

from pathlib import Path

import typer

FIGURE_3 = ("vgg19", "plain34", "resnet34")
BUILT = ("resnet18", "resnet50", "preresnet50", "cifar_resnet20", "cifar_preresnet110")


def run(folder: Path) -> None:
    """Print what is built and draw the papers' Figure 3 into a folder."""
    from residua.cli import tables
    from residua.nets.drawing import draw
    from residua.nets.plan import plan
    from residua.nets.zoo import spec

    folder.mkdir(parents=True, exist_ok=True)
    for name in BUILT:
        typer.echo(_checked(name))
    tables.show(tables.description(plan(spec("resnet50"))))
    tables.show(tables.comparison([plan(spec(name)) for name in FIGURE_3]))
    file = folder / "figure3.svg"
    draw([plan(spec(name)) for name in FIGURE_3], file)
    typer.echo(f"The three networks of the paper's Figure 3 are drawn in {file}")


def _checked(name: str) -> str:
    """Build a network, run it, and compare it with its plan."""
    import torch

    from residua.weights.create import create

    torch.manual_seed(0)
    network = create(name)
    built = sum(parameter.numel() for parameter in network.parameters())
    if built != network.plan.parameters:
        raise RuntimeError(f"{name} has {built} parameters, its plan says {network.plan.parameters}")
    side = network.spec.input_size
    with torch.inference_mode():
        logits = network.train()(torch.randn(2, network.spec.in_channels, side, side))
    return f"{name}: {network.plan.depth} layers, {built:,} parameters, logits {tuple(logits.shape)}"
