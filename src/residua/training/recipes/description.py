"""The frozen description of how a network is trained: every choice of a training is one field."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal, Self

from residua.data.augmentation import Augmentation, augmentation
from residua.errors import UserError, unknown
from residua.nets.conditions import Condition, Conditions, edited, settle
from residua.nets.values import at_least, check_fields, hints, within

Numbers = tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How a network is trained: its length, its updates, its pictures and what is judged best.

    A field with default None is either off, or has a meaning only beside another (see `CONDITIONAL`), as in a
    `Spec`. Lengths within the training are shares of it, so that a shorter one has the same shape.
    """

    name: str = field(default="", compare=False)

    # Length: one of the two.
    epochs: int | None = None
    steps: int | None = None  # updates

    batch: int = 128  # pictures an update
    accumulate: int = 1  # parts in which an update is computed, to save memory

    # Update.
    optimizer: Literal["sgd", "adamw", "muon"] = "sgd"
    learning_rate: float = 0.1
    vector_rate: float | None = None  # Muon's for all but convolutions
    momentum: float | None = None
    nesterov: bool | None = None
    weight_decay: float = 1e-4
    decayed: Literal["all", "weights"] | None = None  # "weights": of convolutions and linear layers only
    layer_decay: float = 1.0  # each stage learns at this share of the rate of the one behind it
    clip: float | None = None  # the largest norm of a gradient

    # Learning rate over time.
    schedule: Literal["steps", "plateau", "cosine", "linear"] = "cosine"
    milestones: Numbers | None = None  # where the rate drops, as shares of the length
    plateau: int | None = None  # epochs without a better score after which the rate drops
    factor: float | None = None  # what a drop leaves of the rate
    warmup: float = 0.0  # share of the length
    warmup_factor: float | None = None  # constant share of the rate meanwhile; None rises linearly

    # Pictures.
    augmentation: Augmentation = field(default_factory=Augmentation)
    sampling: Literal["uniform", "balanced"] = "uniform"  # "balanced": every class as often
    sizes: Numbers = (1.0,)  # shares of the full size, each for an equal part of the length

    # Loss.
    label_smoothing: float = 0.0
    class_weights: Literal["none", "balanced"] = "none"

    # Weights that come from elsewhere.
    freeze: int = 0  # first epochs in which only the classifier learns
    norms: Literal["train", "frozen"] = "train"  # "frozen": statistics of batch norms stay as they are

    # What is kept.
    average: float | None = None  # decay of a moving average of the weights, which is what is judged
    metric: Literal["top1", "loss", "macro_f1"] = "top1"  # by which the best is chosen
    patience: int | None = None  # epochs without a better score after which training stops

    def __post_init__(self) -> None:
        """Check every value, settle the conditional ones, and reject what means nothing."""
        object.__setattr__(self, "augmentation", _augmentation(self.augmentation))
        check_fields(self, "augmentation")
        settle(self, CONDITIONAL)
        _check_numbers(self)
        _check_combinations(self)

    def edit(self, /, **changes: Any) -> Self:
        """Return a copy with some fields changed; an unknown field fails with the nearest."""
        _check_names(changes)
        values = {f.name: getattr(self, f.name) for f in fields(self)} | changes
        for one, other in (("epochs", "steps"), ("steps", "epochs")):
            if changes.get(one) is not None and other not in changes:
                values[other] = None
        return type(self)(**edited(values, changes, CONDITIONAL))

    def to_dict(self) -> dict[str, Any]:
        """Return the recipe as plain data."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Read what `to_dict` gave; what is left out has its default."""
        _check_names(data)
        return cls(**data)

    @staticmethod
    def hint(field: str) -> Any:
        """Return the type of a field (text names an augmentation); an unknown one fails with the nearest."""
        _check_names([field])
        return str if field == "augmentation" else hints(Recipe)[field]


def _check_names(names: Mapping[str, Any] | list[str]) -> None:
    for name in names:
        if name not in hints(Recipe):
            raise unknown("field of a recipe", name, [known for known in hints(Recipe) if known != "name"])


def _augmentation(given: object) -> Augmentation:
    """Take an augmentation as such, by its name, or as its fields."""
    if isinstance(given, str):
        return augmentation(given)
    if isinstance(given, Mapping):
        return Augmentation().edit(**given)
    if not isinstance(given, Augmentation):
        raise UserError(f"augmentation={given!r} is not valid: give the name of one, or its fields.")
    return given


CONDITIONAL: Conditions = {
    "vector_rate": Condition(lambda r: r.optimizer == "muon", "optimizer='muon'", 0.1),
    "momentum": Condition(lambda r: r.optimizer != "adamw", "optimizer='sgd' or 'muon'", 0.9),
    "nesterov": Condition(lambda r: r.optimizer != "adamw", "optimizer='sgd' or 'muon'", True),
    # Muon's is decoupled from the gradient, and would be far too strong for what it leaves to SGD.
    "decayed": Condition(lambda r: r.optimizer != "muon", "optimizer='sgd' or 'adamw'", "weights"),
    "milestones": Condition(lambda r: r.schedule == "steps", "schedule='steps'", (0.5, 0.75)),
    "plateau": Condition(lambda r: r.schedule == "plateau", "schedule='plateau'", 5),
    "factor": Condition(
        lambda r: r.schedule in ("steps", "plateau"), "schedule='steps' or schedule='plateau'", 0.1
    ),
}


def _check_numbers(r: Recipe) -> None:
    for name in ("epochs", "steps", "batch", "accumulate", "plateau", "patience"):
        at_least(name, getattr(r, name), 1)
    for name in ("weight_decay", "freeze"):
        at_least(name, getattr(r, name), 0)
    for name in ("momentum", "warmup", "label_smoothing", "average"):
        within(name, getattr(r, name), 0, 1)
    for name in ("learning_rate", "vector_rate", "clip"):
        _above_zero(name, getattr(r, name), float("inf"))
    for name in ("factor", "warmup_factor", "layer_decay"):
        _above_zero(name, getattr(r, name), 1)
    for name in ("sizes", "milestones"):
        for number in getattr(r, name) or ():
            _above_zero(name, number, 1)


def _above_zero(name: str, value: float | None, most: float) -> None:
    if value is not None and not 0 < value <= most:
        bound = "" if most == float("inf") else f" and at most {most:g}"
        raise UserError(f"{name}={value!r} is not valid: it must be above 0{bound}.")


def _check_combinations(r: Recipe) -> None:
    if (r.epochs is None) == (r.steps is None):
        raise UserError(f"epochs={r.epochs} and steps={r.steps}: a recipe needs one of the two, to end.")
    if r.accumulate > r.batch:
        raise UserError(f"accumulate={r.accumulate} is not valid: a batch of {r.batch} has no more parts.")
    if r.nesterov and not r.momentum:
        raise UserError("nesterov=True has no meaning with momentum=0: set nesterov=False.")
    if not r.sizes:
        raise UserError("sizes=() is not valid: give at least one share of the full size.")
    if list(r.milestones or ()) != sorted(set(r.milestones or ())):
        raise UserError(f"milestones={r.milestones} is not valid: each must be larger than the one before.")
    if r.warmup_factor is not None and not r.warmup:
        raise UserError(f"warmup_factor={r.warmup_factor!r} has no meaning without warmup.")
    if r.sampling == r.class_weights == "balanced":
        raise UserError("sampling='balanced' and class_weights='balanced' are one correction twice: choose.")
