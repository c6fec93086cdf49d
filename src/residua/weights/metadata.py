"""What a model file says of itself, as JSON with a version; docs/model-file.md holds the schema."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal, Self, TypeVar

from residua.errors import UserError
from residua.nets.spec import FAMILIES, AnySpec
from residua.nets.values import check_fields, checked, within
from residua.text import parse_json

VERSION = 1
LARGEST_SIDE = 10_000  # pixels that a network sees; what a file says decides on memory
Pair = tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class _Record:
    """Values that check their own types, to and from JSON."""

    def __post_init__(self) -> None:
        check_fields(self)

    @classmethod
    def from_json(cls, data: Any) -> Self:
        """Read it; what is unknown or missing is an error."""
        if not isinstance(data, dict):
            raise UserError(f"{cls.__name__.lower()} is not a JSON object.")
        known = {f.name for f in fields(cls)}
        if extra := sorted(set(data) - known):
            raise UserError(f"{cls.__name__.lower()} has no field {extra[0]!r}.")
        try:
            return cls(**data)
        except TypeError as error:
            raise UserError(f"{cls.__name__.lower()} is incomplete: {error}.") from None


@dataclass(frozen=True, kw_only=True)
class ClassEntry(_Record):
    """One class: what a machine calls it (a WordNet id) and what people do. Either names a folder."""

    id: str
    name: str


@dataclass(frozen=True, kw_only=True)
class Preprocessing(_Record):
    """From a photo's pixels to the network's input: the one contract of training, judging and export.

    The photo is upright (EXIF applied), 8 bits a channel, and has the channels that `channels` says. It is
    resized by the rule: "crop" brings the shorter side to `resize` and takes the centre square of `size`,
    "letterbox" fits the photo into the square and fills the rest with the mean, "squash" ignores the aspect.
    Then each value is multiplied by `scale`, the mean is subtracted, and the result divided by `std`.
    """

    size: int = 224
    rule: Literal["crop", "letterbox", "squash"] = "crop"
    resize: int = 256
    interpolation: Literal["bilinear", "bicubic", "nearest"] = "bilinear"
    antialias: bool = True
    channels: Literal["rgb", "bgr", "gray", "rgba"] = "rgb"
    scale: float = 1 / 255
    mean: Pair = (0.485, 0.456, 0.406)
    std: Pair = (0.229, 0.224, 0.225)

    def __post_init__(self) -> None:
        """Check sizes and that there is one mean and deviation for each channel."""
        super().__post_init__()
        within("size", self.size, 1, LARGEST_SIDE, closed=True)
        within("resize", self.resize, self.size if self.rule == "crop" else 1, LARGEST_SIDE, closed=True)
        count = {"rgb": 3, "bgr": 3, "gray": 1, "rgba": 4}[self.channels]
        for name in ("mean", "std"):
            if len(getattr(self, name)) != count:
                raise UserError(f"{name} needs {count} numbers for {self.channels} images.")
        if not all(value > 0 for value in (*self.std, self.scale)):
            raise UserError("scale and every number of std must be above 0.")

    def resized(self, width: int, height: int) -> tuple[int, int]:
        """Return the width and height to which the rule resizes a photo."""
        if self.rule == "squash":
            return self.size, self.size
        if self.rule == "letterbox":
            part = self.size / max(width, height)
            return max(1, round(width * part)), max(1, round(height * part))
        short = min(width, height)
        return self.resize * width // short, self.resize * height // short


@dataclass(frozen=True, kw_only=True)
class Provenance(_Record):
    """Where the weights come from."""

    source: str = ""
    layout: str = ""
    steps: tuple[str, ...] = ()  # what was done to them, in order
    recipe: str = ""
    software: str = ""


@dataclass(frozen=True, kw_only=True)
class Accuracy(_Record):
    """A measured accuracy in percent, and by whom on what."""

    top1: float
    top5: float | None = None
    data: str = ""
    measured_by: str = ""

    def __post_init__(self) -> None:
        """Check the percentages."""
        super().__post_init__()
        within("top1", self.top1, 0, 100, closed=True)
        within("top5", self.top5, 0, 100, closed=True)


@dataclass(frozen=True, kw_only=True)
class Metadata:
    """Everything a model file says beside its weights; None is what nobody knows."""

    spec: AnySpec
    classes: tuple[ClassEntry, ...] | None = None
    preprocessing: Preprocessing | None = None
    provenance: Provenance = field(default_factory=Provenance)
    accuracy: Accuracy | None = None
    temperature: float | None = None

    def __post_init__(self) -> None:
        """Check that classes and channels fit the network."""
        if self.classes is not None and len(self.classes) != self.spec.num_classes:
            raise UserError(
                f"{len(self.classes)} class names do not fit a network of {self.spec.num_classes} classes."
            )
        ids = [entry.id for entry in self.classes or ()]
        if len(set(ids)) < len(ids):
            raise UserError(f"two classes have the id {Counter(ids).most_common(1)[0][0]!r}.")
        if self.preprocessing and len(self.preprocessing.mean) != self.spec.in_channels:
            raise UserError(
                f"preprocessing makes {len(self.preprocessing.mean)} channels, "
                f"the network takes {self.spec.in_channels}."
            )
        if self.temperature is not None and not self.temperature > 0:
            raise UserError(f"temperature={self.temperature!r} is not valid: it must be above 0.")

    def to_json(self) -> str:
        """Write it, with its version."""
        data = {name: value for name, value in asdict(self).items() if name != "spec"}
        data = {"version": VERSION, "family": self.spec.family, "spec": self.spec.to_dict(), **data}
        text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
        return text.encode(errors="backslashreplace").decode()  # a name that is no text, as JSON's escapes

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read it, and check every field of it."""
        data = _object(text)
        data.pop("sha256", None)  # the file's own, which whoever reads the file verifies
        version = data.pop("version", None)
        if not isinstance(version, int) or version < 1:
            raise UserError("the metadata has no version.")
        if version > VERSION:
            raise UserError(f"it has version {version}, this Residua reads up to {VERSION}: upgrade Residua.")
        family = data.pop("family", None)
        if not isinstance(family, str) or family not in FAMILIES:
            raise UserError(f"the network family {family!r} is unknown.")
        spec, classes = data.pop("spec", None), data.pop("classes", None)
        if classes is not None and not isinstance(classes, list):
            raise UserError("classes is not a list.")
        return cls(
            spec=_spec(FAMILIES[family], spec),
            classes=None if classes is None else tuple(ClassEntry.from_json(entry) for entry in classes),
            preprocessing=_optional(Preprocessing, data.pop("preprocessing", None)),
            provenance=Provenance.from_json(data.pop("provenance", {})),
            accuracy=_optional(Accuracy, data.pop("accuracy", None)),
            temperature=checked("temperature", data.pop("temperature", None), float | None),
            **_none_left(data),
        )


def _object(text: str) -> dict[str, Any]:
    try:
        data = parse_json(text)
    except ValueError:
        raise UserError("the metadata is not JSON.") from None
    if not isinstance(data, dict):
        raise UserError("the metadata is not a JSON object.")
    return data


def _spec(kind: type[AnySpec], data: Any) -> AnySpec:
    if not isinstance(data, dict):
        raise UserError("the metadata has no spec.")
    known = {f.name for f in fields(kind)}
    if extra := sorted(set(data) - known):
        raise UserError(f"the spec has an unknown field {extra[0]!r}.")
    return kind(**data)


Kind = TypeVar("Kind", bound=_Record)


def _optional(kind: type[Kind], data: Any) -> Kind | None:
    return None if data is None else kind.from_json(data)


def _none_left(data: Mapping[str, Any]) -> dict[str, Any]:
    if data:
        raise UserError(f"the metadata has an unknown field {sorted(data)[0]!r}.")
    return {}
