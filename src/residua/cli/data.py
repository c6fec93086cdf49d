"""Commands about data: check it, see it as a network will, and pack it."""

from __future__ import annotations

import json as json_format
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from residua.cli.options import DATA, Json, MaxBad, Root
from residua.data.checking import MAX_BAD
from residua.errors import UserError
from residua.files import check_files, check_suffix
from residua.judging.runfiles import BAD, CONFIG, SPLIT

if TYPE_CHECKING:
    from residua.data.augmentation import Augmentation
    from residua.data.checking.overview import Overview

Where = Annotated[
    str,
    typer.Argument(
        metavar="DATA",
        help=DATA,
    ),
]
Val = Annotated[float, typer.Option(help="Share of each class to judge by, where the data has no such part.")]
Seed = Annotated[int, typer.Option(help="Which pictures are taken for it.")]
Workers = Annotated[int | None, typer.Option(help="Processes that decode, if not one for each core.")]

LARGEST = 1024  # a preview of 48 such pictures takes 200 MB


def check(
    data: Where,
    report: Annotated[Path | None, typer.Option(help="Write a page with thumbnails into FILE.html.")] = None,
    preview: Annotated[Path | None, typer.Option(help="Draw what a network will see into FILE.png.")] = None,
    augment: Annotated[
        str | None,
        typer.Option(help="The augmentation that the preview shows, if not that of the recipe fast."),
    ] = None,
    size: Annotated[int | None, typer.Option(help="The preview's pictures, in pixels.")] = None,
    out: Annotated[
        Path | None, typer.Option(help="Write split.csv and bad_images.csv into this folder.")
    ] = None,
    root: Root = None,
    val: Val = 0.1,
    seed: Seed = 0,
    max_bad: MaxBad = MAX_BAD,
    workers: Workers = None,
    json: Json = False,
) -> None:
    """Decode every picture and say what is wrong with the data.

    Exit code 0: clean. 1: something to look at. 2: the data cannot be used.
    """
    from residua.data.checking.findings import exit_code

    check_files(report, preview, inputs=[data])
    check_suffix(report, ".html")
    check_suffix(preview, ".png")
    _check_options(data, out, preview, augment, size)
    chosen = _augmentation(augment) if augment else None
    found = _found(data, root, val, seed, max_bad, workers)
    code = exit_code(found)
    try:
        if out:
            _write_tables(out, found)
        if report:
            from residua.data.checking.report import write_report

            write_report(report, found)
        if preview:
            _preview(preview, found, chosen, size, seed)
    finally:  # a full disk does not undo what was found
        _show(found, code, json)
    raise typer.Exit(code)


def _check_options(
    data: str, out: Path | None, preview: Path | None, augment: str | None, size: int | None
) -> None:
    if out and out.exists() and not out.is_dir():
        raise UserError(f"{out} is a file: --out names a folder.")
    if out and out.is_dir():
        check_files(out / SPLIT, out / BAD, inputs=[data])
        if (out / CONFIG).exists():
            raise UserError(f"{out} is a training's own, whose {SPLIT} would be lost: name another folder.")
    if not preview and (augment or size is not None):
        raise UserError("--augment and --size say what --preview shows: give it a file.")
    if size is not None and not 1 <= size <= LARGEST:
        raise UserError(f"size={size} is not valid: it must be from 1 to {LARGEST}.")


def _show(found: Overview, code: int, json: bool) -> None:
    from residua.data.checking.overview import as_json

    if json:
        return typer.echo(json_format.dumps(as_json(found, code), indent=2))
    from residua.cli import data_tables, tables

    return tables.show(data_tables.checked(found))


def pack(
    data: Where,
    out: Annotated[Path, typer.Argument(help="The file to write.")],
    side: Annotated[int | None, typer.Option(help="Shrink the shorter side of larger pictures.")] = None,
    root: Root = None,
    val: Val = 0.1,
    seed: Seed = 0,
    max_bad: MaxBad = MAX_BAD,
    workers: Workers = None,
    json: Json = False,
) -> None:
    """Check data, and pack what can be used into one file that is read without decoding."""
    from residua.cli.progress import progress
    from residua.data.packing.writing import check_absent
    from residua.data.packing.writing import pack as run

    check_files(out, inputs=[data])
    check_absent(out)
    found = _found(data, root, val, seed, max_bad, workers, remembered=True)
    if found.training is None:
        raise UserError(str(found.unusable))
    channels = "gray" if found.gray else "rgb"
    with progress("packing") as show:
        run(found.training, out, side=side, channels=channels, workers=workers, progress=show)
    return typer.echo(_packed_as_json(found, out) if json else _packed(found, out))


def _packed_as_json(found: Overview, out: Path) -> str:
    summary = {
        "out": str(out),
        "bytes": out.stat().st_size,
        "images": sum(found.splits.values()),
        "splits": found.splits,
        "bad": [found.data.names[place] for place in found.checked.reasons],
    }
    return json_format.dumps(summary, indent=2)


def _packed(found: Overview, out: Path) -> str:
    parts = ", ".join(f"{count:,} {part}" for part, count in found.splits.items())
    size = f"{out.stat().st_size / 1e6:,.1f} MB"
    bad = len(found.checked.reasons)
    left_out = f"\nleft out: {bad:,} unreadable (residua check names them)" if bad else ""
    return f"{sum(found.splits.values()):,} pictures ({parts}), {size}, packed into {out}{left_out}"


def _found(
    where: str,
    root: Path | None,
    val: float,
    seed: int,
    max_bad: float,
    workers: int | None,
    remembered: bool = False,
) -> Overview:
    from residua.cli.progress import progress
    from residua.data.checking.checked import check as run
    from residua.data.checking.checked import check_share
    from residua.data.checking.overview import overview
    from residua.data.sources.recognition import open_data
    from residua.weights.download import show_progress

    if not 0 <= val < 1:
        raise UserError(f"val={val:g} is not valid: it is a share, from 0 to below 1.")
    check_share(max_bad)
    opened = open_data(where, root=root, progress=show_progress)
    with progress("decoding") as show:
        checked = run(opened, remembered=remembered, workers=workers, progress=show)
    return overview(checked, val=val, seed=seed, max_bad=max_bad)


def _write_tables(folder: Path, found: Overview) -> None:
    from residua.data.checking.checked import write_bad_images
    from residua.data.splitting import write_split

    folder.mkdir(parents=True, exist_ok=True)
    write_bad_images(folder / BAD, found.checked)
    if found.training:
        write_split(folder / SPLIT, found.training)
    else:
        (folder / SPLIT).unlink(missing_ok=True)  # an earlier one says what is no longer true


def _augmentation(name: str) -> Augmentation:
    from residua.data.augmentation import augmentation

    return augmentation(name)


def _preview(path: Path, found: Overview, chosen: Augmentation | None, size: int | None, seed: int) -> None:
    if found.training is None:
        return typer.echo("residua: there is no preview of data that cannot be used.", err=True)
    from residua.data.preview import preview
    from residua.training.recipes import recipe
    from residua.training.settling.choosing import suited, usual_resize, usual_size
    from residua.weights.metadata import Preprocessing

    size = size or usual_size(int(min(values["median"] for values in found.sizes.values())))
    rule = Preprocessing(size=size, resize=usual_resize(size))
    shown = chosen or suited(recipe("fast", size=size).augmentation, size, found.gray)
    return preview(found.training, found.training.places("train"), rule, shown, seed, path)
