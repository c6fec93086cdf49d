"""Pictures that go, go bad or become others while a training lasts."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

from faults.arena import Arena, digits_folder
from faults.outcome import Outcome, must
from faults.process import Ended, Trainer, contents, resuming

HOW = ("removed", "emptied", "cut off", "swapped for another")


def pictures(base: Path, count: int) -> Iterator[Outcome]:
    """Remove or spoil a picture during the training: it is named, and put back nothing is lost."""
    arena = Arena(base, passes=8, pass_steps=10, minutes=5.0, data=digits_folder(base))
    for how in HOW:
        outcome = Outcome("pictures", f"one {how} during the training")
        for number in range(max(1, count // 25)):
            with outcome.trial(), arena.run() as folder:
                ended, name = spoiled(arena, folder, how, number)
                must(ended.code == 2 and name in ended.said, f"said {ended.said[-300:]!r}")
                must(f"`residua train --resume {folder}`" in ended.said, "how to go on was not said")
                arena.intact(folder)
                arena.same(folder)
                outcome.saw("named and saved; put back, bit-identical")
        yield outcome


def spoiled(arena: Arena, folder: Path, how: str, number: int) -> tuple[Ended, str]:
    """Spoil a picture that is judged after every pass, once the training is at work, and put it back."""
    rows = (folder / "split.csv").read_text().splitlines()
    names = [row.split(",")[0] for row in rows if row.endswith(",val")]
    picture, other = (Path(arena.data, name) for name in random.Random(number).sample(names, 2))
    good = picture.read_bytes()
    before = contents(folder)
    trainer = Trainer(resuming(folder))
    trainer.wait_for(folder, before)
    if how == "removed":
        picture.unlink()
    else:
        bad = {"emptied": b"", "cut off": good[: len(good) // 2], "swapped for another": other.read_bytes()}
        picture.write_bytes(bad[how])
    ended = trainer.wait()
    picture.write_bytes(good)
    return ended, picture.name
