"""Commands about networks: list them, describe and draw them."""

from __future__ import annotations

import json as json_format
from pathlib import Path
from typing import Annotated, Any

import typer

from residua.cli.completion import networks
from residua.cli.options import Json
from residua.errors import UserError
from residua.nets.description import describe as describe_plan
from residua.nets.description import summary
from residua.nets.plan import Plan, plan
from residua.nets.spec import AnySpec
from residua.nets.values import from_text
from residua.nets.zoo import list_models, spec


def models(
    pattern: Annotated[str, typer.Argument(help='Part of a name, or a pattern such as "cifar_*".')] = "*",
    json: Json = False,
) -> None:
    """List the networks with depth, parameters, multiply-adds and input size."""
    names = list_models(pattern)
    if not names:
        raise UserError(f"no network matches {pattern!r}: `residua models` lists all of them.")
    rows = [summary(plan(spec(name))) for name in names]
    if json:
        return typer.echo(json_format.dumps(rows, indent=2))
    from residua.cli import tables

    return tables.show(tables.models(rows))


def describe(
    what: Annotated[
        list[str],
        typer.Argument(
            metavar="NAME... [FIELD=VALUE]...",
            help="Networks, and fields to change in all of them.",
            autocompletion=networks,
        ),
    ],
    size: Annotated[int | None, typer.Option(help="Side of the image, if not the network's own.")] = None,
    json: Json = False,
    plot: Annotated[Path | None, typer.Option(help="Draw the networks into FILE.svg or FILE.png.")] = None,
) -> None:
    """Describe networks as the papers' Table 1 does; several names are compared with the first."""
    plans = [plan(network, size) for network in _networks(what)]
    if plot:
        from residua.nets.drawing import draw

        draw(plans, plot)
    if json:
        data = [describe_plan(each) for each in plans]
        return typer.echo(json_format.dumps(data if len(data) > 1 else data[0], indent=2))
    return _print(plans)


def _print(plans: list[Plan]) -> None:
    from residua.cli import tables

    tables.show(tables.description(plans[0]) if len(plans) == 1 else tables.comparison(plans))


def _networks(what: list[str]) -> list[AnySpec]:
    """Read names and edits: `resnet34 vgg19 num_classes=10`."""
    names = [word for word in what if "=" not in word]
    pairs = [word.split("=", 1) for word in what if "=" in word]
    edits = dict(pairs)
    if len(edits) < len(pairs):
        fields = [field for field, _ in pairs]
        raise UserError(f"{next(f for f in fields if fields.count(f) > 1)} is given twice.")
    if not names:
        raise UserError("which network? name at least one (`residua models` lists them).")
    return [spec(name, **_fields(name, edits)) for name in names]


def _fields(name: str, edits: dict[str, str]) -> dict[str, Any]:
    network = spec(name)
    return {field: from_text(field, text, network.hint(field)) for field, text in edits.items()}
