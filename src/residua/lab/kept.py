"""Finished trials kept to outlive their machine: a small file each, from which results are there again."""

from __future__ import annotations

import contextlib
import gzip
import json
import re
import zlib
from pathlib import Path

from residua.errors import UserError
from residua.files import BusyError, claimed, replacing
from residua.judging.runfiles import CONFIG, METRICS, SUMMARY, read_metrics
from residua.lab import TRIALS
from residua.lab.carrying import TRIAL
from residua.lab.makers import MADE
from residua.lab.measurements import FOLDER
from residua.lab.notes import NOTES, notes_of
from residua.lab.trials import Trial

NAMES = re.compile(rf"(trial|made|summary)\.json|metrics\.jsonl|{FOLDER}/\w+\.jsonl?")
DRAWN = ("epoch", "step", "train_loss", "val_loss", "val_top1")  # of the metrics, after each pass
LARGEST = 16_000_000  # bytes, of a file that may have come from anywhere
Files = dict[str, str]  # texts by what they are called in a trial's folder


def keep(run: Path, folder: Path) -> None:
    """Keep what pages and verdicts need of a finished trial."""
    path = _path(folder, run.name)
    before = _read(path) if path.exists() else {}
    files = before | _files(run)
    if files == before:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary:
        temporary.write_bytes(gzip.compress(json.dumps(files).encode(), mtime=0))


def take(trial: Trial, run: Path, folder: Path) -> None:
    """Bring back what was kept of a trial, unless it has been begun here."""
    path = _path(folder, trial.name)
    if not path.exists():
        return
    files = _read(path)
    if json.loads(files[TRIAL]) != json.loads(json.dumps(trial.as_json())):
        raise UserError(f"{path} is not of the trial that its name says: remove it, and that is run again.")
    (run / FOLDER).mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(BusyError), claimed(run):
        if (run / CONFIG).exists():
            return
        for name, text in files.items():
            with replacing(run / name) as temporary:
                temporary.write_text(text, encoding="utf-8", newline="")


def _path(folder: Path, trial: str) -> Path:
    return folder / TRIALS / f"{trial}.json.gz"


def _read(path: Path) -> Files:
    try:
        with gzip.open(path) as packed:
            text = packed.read(LARGEST + 1)
        if len(text) > LARGEST:
            raise ValueError(f"it holds more than {LARGEST:,} bytes")
        files = json.loads(text)
        strange = [name for name in files if not NAMES.fullmatch(name)]
        json.loads(files[TRIAL])
    except (OSError, EOFError, zlib.error, ValueError, KeyError, AttributeError, TypeError) as error:
        raise UserError(f"{path} cannot be read: {error}. Remove it, and the trial is run again.") from None
    if strange:
        raise UserError(f"{path} holds {strange[0]!r}, which is no file of a trial: remove it.")
    return dict(files)


def _files(run: Path) -> Files:
    """Return what there is of a trial, what is measured last: who has that has all."""
    lines = [{name: line.get(name) for name in DRAWN} for line in read_metrics(run)]
    passes = [json.dumps(line) + "\n" for line in lines if line["val_top1"] is not None]
    there = [name for name in (TRIAL, MADE, SUMMARY) if (run / name).exists()]
    files = {name: (run / name).read_text(encoding="utf-8") for name in there}
    files[METRICS] = "".join(passes)
    files[f"{FOLDER}/{NOTES}"] = _thinned(run)
    measured = sorted((run / FOLDER).glob("*.json"))
    return files | {f"{FOLDER}/{path.name}": path.read_text(encoding="utf-8") for path in measured}


def _thinned(run: Path) -> str:
    """Leave the first and the last gradient of each pass, whose ratio is what is drawn."""
    lines = [
        {"epoch": each["epoch"], "norms": [each["norms"][0], each["norms"][-1]]} for each in notes_of(run)
    ]
    return "".join(json.dumps(line) + "\n" for line in lines)
