"""Why a training stops before its end, and how it goes on, in one sentence each."""

from __future__ import annotations

from pathlib import Path

from residua.errors import UserError
from residua.judging.runfiles import LOG


class StoppedError(UserError):
    """A training that was asked to stop: it is saved and can go on."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


def asked_to_stop(folder: Path, step: int, steps: int, exit_code: int) -> StoppedError:
    """Say that somebody wanted it."""
    return StoppedError(
        f"stopped at step {step} of {steps} and saved: {_resuming(folder)} goes on.", exit_code
    )


def picture_gone(folder: Path, step: int, reason: Exception) -> UserError:
    """Say which picture is not what it was."""
    return UserError(
        f"{reason} Stopped at step {step} and saved: put the picture back as it was, and "
        f"{_resuming(folder)} goes on."
    )


def diverged(folder: Path, reason: Exception) -> UserError:
    """Say which update would have spoiled the network."""
    return UserError(
        f"{reason} Stopped and saved before it; {folder / LOG} names its pictures. "
        f"{_resuming(folder, '--on-nan skip')} goes on without such steps; "
        "a smaller learning rate may not need it."
    )


def spoiled(folder: Path, step: int) -> UserError:
    """Say that the network is none any more."""
    return UserError(
        f"the weights are not finite after step {step}: they were not saved. Begin again "
        f"with a smaller learning rate; what was saved before is in {folder}."
    )


def hopeless(count: int, step: int, steps: int) -> str:
    """Say that there is no use in going on."""
    return (
        f"{count} updates in a row were left out: the training ends here, at step {step} of {steps}, "
        "with the weights from before them. A smaller learning rate may go further."
    )


def _resuming(folder: Path, *options: str) -> str:
    return f"`{' '.join(['residua train --resume', str(folder), *options])}`"
