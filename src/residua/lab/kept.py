"""Finished trials kept to outlive their machine: a small file each, from which results are there again."""

from __future__ import annotations

import contextlib
import gzip
import json
import re
import shutil
import time
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from residua.errors import UserError
from residua.files import BusyError, claimed, replacing
from residua.judging.runfiles import ALWAYS, CONFIG, METRICS, SUMMARY, read_metrics
from residua.lab import TRIALS
from residua.lab.carrying import TRIAL, again, is_done, is_trained, put
from residua.lab.makers import MADE
from residua.lab.measurements import FOLDER, HOW, read_json, read_measured
from residua.lab.notes import NOTES, is_noted, notes_of
from residua.lab.trials import Trial
from residua.text import finite, is_number, parse_json

NAMES = re.compile(rf"(trial|made|summary)\.json|metrics\.jsonl|{FOLDER}/\w+\.jsonl?")
THROUGH = f"{FOLDER}/{NOTES}"
DRAWN = ("epoch", "step", "train_loss", "val_loss", "val_top1")  # of the metrics, after each pass
LARGEST = 16_000_000  # bytes, of a file that may have come from anywhere
PATIENCE = 100  # times that a file which another sweep writes is tried again, ten in a second
Files = dict[str, str]  # texts by what they are called in a trial's folder


def keep(run: Path, folder: Path) -> str | None:
    """Keep what pages and verdicts need of a finished trial, and return what is to be said of that.

    What is kept of a trial is of one training: what is there already stays, and is replaced, as a whole, only
    by one of which more was measured.
    """
    if not (run / TRIAL).exists():
        raise UserError(f"{run} has no {TRIAL}, which says what it is: run its experiment once more.")
    path = _path(folder, run.name)
    path.parent.mkdir(parents=True, exist_ok=True)
    with _held(path):
        files = _files(run)
        try:
            before = _read(path, files[TRIAL]) if path.exists() else {}
        except UserError as error:
            _write(path, files)
            return f"{error} It is replaced."
        known, found = _measured(before), _measured(files)
        if not before or _alike(before, files):
            if found - known or len(files[THROUGH]) > len(before.get(THROUGH, "")):
                _write(path, before | files)
            return None
        if found - known and not known - found:
            _write(path, files)
            return f"{path} was of another training, of which less was measured: it is replaced by {run}."
        return f"{path} is of another training than {run}, and stays: remove it to keep this one."


def take(trial: Trial, run: Path, folder: Path, measurements: Sequence[str] = ()) -> None:
    """Bring back what was kept of a trial.

    A training that was begun here makes way if all these measurements are kept; it is gone on with when more
    is wanted.
    """
    path = _path(folder, trial.name)
    if not path.exists():
        return
    files = _read(path, json.dumps(trial.as_json()))
    run.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(BusyError), claimed(run):
        if is_trained(run) or is_done(run, trial, measurements):
            return
        begun = (run / CONFIG).exists()
        fresh = _unpacked(files, run)
        if begun and not is_done(fresh, trial, measurements):
            shutil.rmtree(fresh)
            return
        if begun and not again(run).exists():
            run.rename(again(run))
        put(fresh, run)


def restore(run: Path, folder: Path) -> bool:
    """Bring back what was kept of a trial whose folder is gone; whether anything was."""
    path = _path(folder, run.name)
    if not path.exists():
        return False
    run.parent.mkdir(parents=True, exist_ok=True)
    with claimed(run):
        put(_unpacked(_read(path), run), run)
    return True


def _path(folder: Path, trial: str) -> Path:
    return folder / TRIALS / f"{trial}.json.gz"


@contextlib.contextmanager
def _held(path: Path) -> Iterator[None]:
    """Let nobody else write a file; who is writing it now is soon done."""
    for left in reversed(range(PATIENCE)):
        with contextlib.ExitStack() as held:
            try:
                held.enter_context(claimed(path))
            except BusyError:
                if not left:
                    raise
                time.sleep(0.1)
                continue
            yield
            return


def _unpacked(files: Files, run: Path) -> Path:
    """Write the files of a trial into a folder beside its own."""
    fresh = run.with_name(f".{run.name}.taken")
    shutil.rmtree(fresh, ignore_errors=True)
    (fresh / FOLDER).mkdir(parents=True)
    for name, text in files.items():
        (fresh / name).write_text(text, encoding="utf-8", newline="")
    return fresh


def _read(path: Path, trial: str | None = None) -> Files:
    """Read what is kept, whoever wrote it, and demand that it is of this trial."""
    try:
        with gzip.open(path) as packed:
            text = packed.read(LARGEST + 1)
        if len(text) > LARGEST:
            raise ValueError(f"it holds more than {LARGEST:,} bytes")
        files = parse_json(text)
        if not isinstance(files, dict) or TRIAL not in files:
            raise ValueError("it is not of a trial")
        for name, each in files.items():
            _check(name, each)
    except (OSError, EOFError, zlib.error, ValueError) as error:
        raise UserError(f"{path} cannot be read: {error}.") from None
    if trial and parse_json(files[TRIAL]) != parse_json(trial):
        raise UserError(f"{path} is not of the trial that its name says.")
    return files


def _check(name: str, text: object) -> None:
    """Fail for what is no file of a trial: each holds objects of JSON, one, or one in a line."""
    if not NAMES.fullmatch(name) or not isinstance(text, str):
        raise ValueError(f"it holds {name!r}, which is no file of a trial")
    text.encode()
    lines = text.splitlines() if name.endswith("l") else [text]
    objects = [parse_json(line) for line in lines if line or name.endswith("n")]
    if finite(objects) != objects:
        raise ValueError(f"its {name} has a number that is none")
    if not all(isinstance(each, dict) for each in objects):
        raise ValueError(f"its {name} is no object of JSON")
    if not all(READ[name](each) for each in objects if name in READ):
        raise ValueError(f"its {name} is not of passes")


def _is_measured(line: Mapping[str, Any]) -> bool:
    """Whether it is a pass of the metrics, as far as they are read."""
    return line.keys() >= ALWAYS and type(line["epoch"]) is int and is_number(line["val_top1"])


READ = {METRICS: _is_measured, THROUGH: is_noted}  # whose lines are read one by one


def _write(path: Path, files: Files) -> None:
    with replacing(path) as temporary:
        temporary.write_bytes(gzip.compress(json.dumps(files).encode(), mtime=0))


def _files(run: Path) -> Files:
    """Return what there is of a trial, what is measured last: who has that has all."""
    lines = [{name: line.get(name) for name in DRAWN} for line in read_metrics(run)]
    passes = [json.dumps(line) + "\n" for line in lines if line["val_top1"] is not None]
    there = [name for name in (TRIAL, MADE) if (run / name).exists()]
    there += [f"{FOLDER}/{name}.json" for name in HOW if read_measured(run, name)]
    gathered = {METRICS: "".join(passes), THROUGH: _noted(run)}
    if summary := read_json(run / SUMMARY):
        summary.pop("data", None)  # where they lay is nobody else's business
        gathered[SUMMARY] = json.dumps(summary)
    return gathered | {name: (run / name).read_text(encoding="utf-8") for name in there}


def _noted(run: Path) -> str:
    """Return the gradients of each pass once, whatever was cut off or made again."""
    lines = [{"epoch": each["epoch"], "norms": each["norms"]} for each in notes_of(run)]
    return "".join(json.dumps(line) + "\n" for line in lines)


def _measured(files: Files) -> set[str]:
    """Return what was measured as it is measured now."""
    texts = {name: files.get(f"{FOLDER}/{name}.json", "{}") for name in HOW}
    return {name for name, text in texts.items() if parse_json(text).get("version") == HOW[name].version}


def _alike(before: Files, files: Files) -> bool:
    """Whether these are of one training: on another machine it ends with other last bits."""
    both = [f"{FOLDER}/{name}.json" for name in _measured(before) & _measured(files)]
    return all(before.get(name) == files.get(name) for name in (METRICS, *both))
