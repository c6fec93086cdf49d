"""The frozen description of an augmentation, and the usual ones by name."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, Self

from residua.errors import UserError, unknown
from residua.nets.conditions import Condition, Conditions, edited, settle
from residua.nets.values import check_fields, within

Numbers = tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class Augmentation:
    """What may happen to a picture on its way to the network in training; nothing by default.

    A field with default None has a meaning only beside another (see `CONDITIONAL`), as in a `Spec`.
    """

    # One crop at most: of the picture's own size from the padded picture; of a random share of its area,
    # resized; or of the picture resized at random.
    crop_padding: int = 0
    padding: Literal["mean", "zero", "reflect"] | None = None  # what the border is filled with
    resized_crop: Numbers | None = None  # the least and the largest share of the picture's area
    ratio: Numbers | None = None  # the least and the largest ratio of width to height
    scaled_crop: Numbers | None = None  # the picture's least and largest shorter side, in sides of the crop

    flip: Literal["none", "random", "alternating"] = "none"  # left to right

    # Colours: a factor from 1 - strength to 1 + strength; the hue is turned by up to that share of a circle.
    brightness: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0
    hue: float = 0.0
    lighting: float = 0.0  # how much of the colours in which photos differ the most is added or taken

    randaugment: int = 0  # how many random operations
    magnitude: float | None = None  # how strong they are, 0 to 10

    erasing: float = 0.0  # probability that a rectangle is filled with the mean

    # Pictures of one batch mixed with each other; with both, each picture meets one of them.
    mixup: float = 0.0  # alpha of the beta distribution of shares
    cutmix: float = 0.0

    def __post_init__(self) -> None:
        """Check every value, settle the conditional ones, and reject what means nothing."""
        check_fields(self)
        settle(self, CONDITIONAL)
        _check_numbers(self)
        crops = [name for name in ("crop_padding", "resized_crop", "scaled_crop") if getattr(self, name)]
        if len(crops) > 1:
            raise UserError(f"{crops[0]} and {crops[1]} are two crops: choose one.")

    def edit(self, /, **changes: Any) -> Self:
        """Return a copy with some fields changed; an unknown field fails with the nearest."""
        names = [f.name for f in fields(self)]
        for name in changes:
            if name not in names:
                raise unknown("field of the augmentation", name, names)
        return type(self)(**edited(asdict(self), changes, CONDITIONAL))

    def to_dict(self) -> dict[str, Any]:
        """Return the description as plain data."""
        return asdict(self)

    @property
    def boxes(self) -> bool:
        """Whether a random box of each picture is resized."""
        return bool(self.resized_crop or self.scaled_crop)

    @property
    def mixes(self) -> bool:
        """Whether pictures of a batch are mixed, so that labels are shares of classes."""
        return bool(self.mixup or self.cutmix)


CONDITIONAL: Conditions = {
    "padding": Condition(lambda a: bool(a.crop_padding), "crop_padding", "mean"),
    "ratio": Condition(lambda a: a.resized_crop is not None, "resized_crop", (3 / 4, 4 / 3)),
    "magnitude": Condition(lambda a: bool(a.randaugment), "randaugment", 9.0),
}
EDGES = 1000  # beyond any use, and far from where numbers overflow


def _check_numbers(a: Augmentation) -> None:
    within("crop_padding", a.crop_padding, 0, EDGES)
    for name, low, high in (
        ("resized_crop", 0, 1),
        ("ratio", 1 / EDGES, EDGES),
        ("scaled_crop", 1, EDGES),
    ):
        _check_range(name, getattr(a, name), low, high)
    for name in ("brightness", "contrast", "saturation", "lighting", "erasing"):
        within(name, getattr(a, name), 0, 1, closed=True)
    within("hue", a.hue, 0, 0.5, closed=True)
    within("randaugment", a.randaugment, 0, 14, closed=True)
    within("magnitude", a.magnitude, 0, 10, closed=True)
    for name in ("mixup", "cutmix"):
        within(name, getattr(a, name), 0, 100)


def _check_range(name: str, pair: Numbers | None, low: float, high: float) -> None:
    if pair is not None and not (len(pair) == 2 and low <= pair[0] <= pair[1] <= high and pair[1] > 0):
        raise UserError(
            f"{name}={pair} is not valid: it must be two numbers from {low:g} to {high:g}, the least first."
        )


AUGMENTATIONS = {
    "none": Augmentation(),
    "flip": Augmentation(flip="random"),
    "cifar": Augmentation(crop_padding=4, flip="random"),
    "cifar-fast": Augmentation(crop_padding=2, padding="reflect", flip="alternating"),
    "photo": Augmentation(resized_crop=(0.08, 1.0), flip="random"),
    "photo-paper": Augmentation(scaled_crop=(256 / 224, 480 / 224), flip="random", lighting=0.1),
    "photo-gentle": Augmentation(resized_crop=(0.35, 1.0), flip="random"),
    "photo-strong": Augmentation(
        resized_crop=(0.08, 1.0), flip="random", randaugment=2, magnitude=7.0, mixup=0.1, cutmix=1.0
    ),
}


SMALL = 64  # pixels; larger pictures are photos


def augmentation(name: str, /, **changes: Any) -> Augmentation:
    """Return a named augmentation, with some fields changed."""
    if name not in AUGMENTATIONS:
        raise unknown("augmentation", name, AUGMENTATIONS)
    return AUGMENTATIONS[name].edit(**changes)
