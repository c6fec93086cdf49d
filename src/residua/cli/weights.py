"""Commands about weights: convert, inspect, and the published ones."""

from __future__ import annotations

import json as json_format
from pathlib import Path
from typing import Annotated, Any

import typer

from residua.cli.options import Json
from residua.errors import UserError
from residua.files import check_files
from residua.text import visible


def convert(
    source: Annotated[str, typer.Argument(help="A file, a folder, a URL or a Hugging Face repository id.")],
    out: Annotated[
        Path, typer.Option("--out", "-o", help="The file (for Hugging Face: the folder) to write.")
    ],
    model: Annotated[
        str | None, typer.Option(help="Which network it is, where the file does not say.")
    ] = None,
    layout: Annotated[str, typer.Option(help="Whose names it has, if not recognised.")] = "auto",
    to: Annotated[str, typer.Option(help="Whose names, shapes and file type to write.")] = "residua",
    num_classes: Annotated[int | None, typer.Option(help="Replace the classifier by a new one.")] = None,
    in_channels: Annotated[
        int | None, typer.Option(help="Adapt the first convolution to so many channels.")
    ] = None,
    drop_background: Annotated[bool, typer.Option(help="Drop class 0 of TF-Slim's 1001.")] = False,
    ignore: Annotated[list[str] | None, typer.Option(help="Tensors of the file to pass over.")] = None,
    ema: Annotated[bool, typer.Option(help="Take the averaged copy, if there are two.")] = False,
    preprocess: Annotated[
        str | None,
        typer.Option(help="imagenet, imagenet-v2, keras-v1/-v2, slim-v1/-v2, cifar or a JSON file."),
    ] = None,
    classes: Annotated[str | None, typer.Option(help="File of class names, one a line.")] = None,
    json: Json = False,
) -> None:
    """Convert anyone's weights into a model file, or a model file into anyone's weights."""
    from residua.weights.conversion import Asked, summary
    from residua.weights.conversion import convert as run
    from residua.weights.download import show_progress

    check_files(None if to == "huggingface" else out)  # which is a folder of files
    asked = Asked(
        model=model,
        layout=layout,
        num_classes=num_classes,
        in_channels=in_channels,
        drop_background=drop_background,
        ignore=ignore or (),
        ema=ema,
        preprocess=preprocess,
        classes=classes,
    )
    metadata = run(source, out, asked, to, show_progress)
    if json:
        return typer.echo(json_format.dumps({"out": str(out), **json_format.loads(metadata.to_json())}))
    for line in summary(metadata, to):
        typer.echo(visible(line))
    return typer.echo(f"written to {out}")


def inspect(
    file: Annotated[Path, typer.Argument(help="A model file.")],
    json: Json = False,
) -> None:
    """Check a model file from end to end and print everything that it says of itself."""
    from residua.weights.modelfile import inspect as run

    metadata = run(file)
    if json:
        return typer.echo(json_format.dumps(json_format.loads(metadata.to_json())))
    from residua.cli import tables

    return tables.show(tables.metadata(file, metadata))


def weights(
    pattern: Annotated[str, typer.Argument(help="Part of a network's name.")] = "",
    fetch: Annotated[bool, typer.Option("--fetch", help="Download what matches into the cache.")] = False,
    json: Json = False,
) -> None:
    """List the published weights with their accuracy, and where they are or would be cached."""
    from residua.weights.cache import cache_folder
    from residua.weights.download import fetch as download
    from residua.weights.download import show_progress
    from residua.weights.published import all_published

    rows = [row for row in all_published() if pattern in row.name]
    if not rows:
        raise UserError(f"no published weights for {pattern!r}: `residua weights` lists all of them.")
    if fetch:
        for row in rows:
            download(row.url, sha256=row.sha256, file_name=row.file_name, progress=show_progress)
    data: list[dict[str, Any]] = [
        {
            "name": row.name,
            "version": row.version,
            "top1": row.accuracy.top1,
            "top5": row.accuracy.top5,
            "url": row.url,
            "path": str(cache_folder() / row.file_name),
            "cached": (cache_folder() / row.file_name).is_file(),
        }
        for row in rows
    ]
    if json:
        return typer.echo(json_format.dumps(data, indent=2))
    from residua.cli import tables

    return tables.show(tables.published(data))
