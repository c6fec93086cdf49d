"""Everything that decides what a training computes: written down before its first step, obeyed on resume."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, Self

from residua.errors import UserError, unknown
from residua.nets.spec import FAMILIES, AnySpec
from residua.nets.values import at_least, check_fields, within
from residua.training.recipes import Recipe
from residua.weights.metadata import Preprocessing

MOST_THREADS = 1024  # that compute: very many end the process, or the machine


@dataclass(frozen=True, kw_only=True)
class Settings:
    """One training, resolved: nothing is left to be chosen or measured."""

    data: str
    root: str | None = None  # of the paths in a CSV
    val: float = 0.1
    max_bad: float = 0.1
    limit: int | None = None  # pictures to train on

    spec: AnySpec
    weights: str = "none"  # what the network starts from
    preprocessing: Preprocessing
    recipe: Recipe
    seed: int = 0
    split_seed: int | None = None  # of which pictures are held out and learned from; None: the seed
    steps: int  # updates in all
    epoch_steps: int  # updates in a pass over the training pictures

    device: str = "cpu"
    precision: Literal["fp32", "bf16"] = "fp32"
    channels_last: bool = True
    compiled: bool = False
    checkpointing: bool = False  # memory for time
    threads: int = 1
    workers: int = 1  # threads that read pictures
    packed: int | None = None  # shorter side of the training pictures packed beside the run
    deterministic: bool = False
    on_nan: Literal["stop", "skip"] = "stop"
    save_minutes: float = 5.0  # between checkpoints, beside the one after each pass
    log_steps: int = 100  # between lines of metrics, beside the one after each pass
    tensorboard: bool = False  # whether the metrics are written for it too
    report: bool = True  # whether report.html is written at the end

    def __post_init__(self) -> None:
        """Check the plain values; the descriptions have checked themselves."""
        check_fields(self, "spec", "preprocessing", "recipe")
        for name in ("steps", "epoch_steps", "log_steps"):
            at_least(name, getattr(self, name), 1)
        within("threads", self.threads, 1, MOST_THREADS, closed=True)
        at_least("workers", self.workers, 0)
        at_least("save_minutes", self.save_minutes, 0)
        at_least("limit", self.limit, 1)
        at_least("packed", self.packed, 1)

    @property
    def picture_seed(self) -> int:
        """The seed of which pictures there are: held out and learned from."""
        return self.seed if self.split_seed is None else self.split_seed

    @property
    def epochs(self) -> int:
        """Passes over the training pictures; the last one may be a part."""
        return -(-self.steps // self.epoch_steps)

    def to_dict(self) -> dict[str, Any]:
        """Return plain data, as `config.yaml` holds it."""
        plain = {f.name: getattr(self, f.name) for f in fields(self)}
        return plain | {
            "spec": {"family": self.spec.family, **self.spec.to_dict()},
            "preprocessing": asdict(self.preprocessing),
            "recipe": self.recipe.to_dict(),
        }

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        """Read what `to_dict` gave."""
        names = [f.name for f in fields(cls)]
        for name in data:
            if name not in names:
                raise unknown("setting of a run", name, names)
        for name in ("spec", "preprocessing", "recipe"):
            if not isinstance(data.get(name), Mapping):
                raise UserError(f"the run's settings are incomplete: {name} must have fields of its own.")
        try:
            described = dict(data["spec"])
            kind = FAMILIES[described.pop("family")]
            return cls(
                **data
                | {
                    "spec": kind(**described),
                    "preprocessing": Preprocessing.from_json(data["preprocessing"]),
                    "recipe": Recipe.from_dict(data["recipe"]),
                }
            )
        except (KeyError, TypeError) as error:
            raise UserError(f"the run's settings are incomplete: {error}.") from None
