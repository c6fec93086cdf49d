"""Curves for TensorBoard, beside those of the report."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from residua.errors import UserError
from residua.training.telling.watching import Watch

NAME = "tensorboard"


def needs_tensorboard() -> None:
    """Fail where TensorBoard is not installed."""
    try:
        import torch.utils.tensorboard  # noqa: F401 - fails as a whole
    except ImportError:
        raise UserError(
            "tensorboard is not installed: `pip install 'residua[tensorboard]'`, or do without --tensorboard."
        ) from None


@contextlib.contextmanager
def board(folder: Path, step: int) -> Iterator[Watch]:
    """Give a watcher that writes every line of the metrics; what lies behind a step is made anew."""
    needs_tensorboard()
    from torch.utils.tensorboard import SummaryWriter

    writer = SummaryWriter(folder / NAME, purge_step=step + 1)
    with contextlib.closing(writer):
        yield _Board(writer)


class _Board(Watch):
    def __init__(self, writer: Any) -> None:
        self.writer = writer

    def noted(self, line: dict[str, Any]) -> None:
        for name, value in line.items():
            if name not in ("epoch", "step") and value is not None:
                self.writer.add_scalar(name, value, line["step"])
