"""What a model says of pictures."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Guess:
    """One class and its probability."""

    label: str
    id: str
    probability: float


@dataclass(frozen=True)
class Prediction:
    """What a model says of one picture: the likeliest classes, best first."""

    top: tuple[Guess, ...]

    @property
    def label(self) -> str:
        """The name of the first guess."""
        return self.top[0].label

    @property
    def id(self) -> str:
        """The id of the first guess."""
        return self.top[0].id

    @property
    def probability(self) -> float:
        """The probability of the first guess."""
        return self.top[0].probability

    def as_json(self) -> dict[str, Any]:
        """Return `label`, `id`, `probability` and `top`."""
        return {**asdict(self.top[0]), "top": [asdict(guess) for guess in self.top]}


@dataclass(frozen=True)
class FileResult:
    """What a model says of one file, or in `error` why nothing can be said."""

    path: str
    prediction: Prediction | None = None
    error: str = ""

    def as_json(self) -> dict[str, Any]:
        """Return `path`, `label`, `id`, `probability` and `top`, or `path` and `error`."""
        said = self.prediction.as_json() if self.prediction else {"error": self.error}
        return {"path": self.path, **said}
