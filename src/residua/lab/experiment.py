"""An experiment as data: which networks, trained how, measured how, at which scales."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import product
from math import prod
from string import Formatter
from typing import Any, Self

from residua.errors import UserError, unknown
from residua.lab.claims import QUANTITIES, Claim, Labels, check_claims, filled
from residua.lab.scales import SCALES, Depths, Scale, known, mapping
from residua.nets.spec import AnySpec
from residua.nets.values import check_fields
from residua.nets.zoo import spec
from residua.training.asking.changes import Changes
from residua.training.recipes import RECIPES

MEASUREMENTS = tuple(QUANTITIES)
MOST_NETWORKS = 1000  # that one line may stand for
DATA_DECIDES = ("num_classes", "in_channels", "input_size")  # of a network that is trained


@dataclass(frozen=True)
class Member:
    """One network of an experiment at a scale."""

    label: str
    spec: AnySpec
    changes: Mapping[str, Any]  # of the scale's recipe


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """A question, the networks that answer it, and what is measured of them.

    A network is a name of the zoo, or `network` and fields of its description, and `recipe` for changes of
    the recipe that are its own. {depth} in a label or a name stands for each of the scale's depths in turn.
    """

    name: str
    title: str
    question: str = ""
    networks: Mapping[str, Any]
    recipe: Mapping[str, Any] = field(default_factory=dict)  # changes at every scale
    trained: bool = True  # False: networks are only counted
    measurements: tuple[str, ...] = ()
    scales: Mapping[str, Any] = field(default_factory=dict)  # what differs from SCALES
    claims: tuple[Claim, ...] = ()

    def __post_init__(self) -> None:
        """Check everything that needs no data, each scale's networks too."""
        check_fields(self, "networks", "recipe", "scales", "claims")
        check_name(self.name)
        for measurement in self.measurements:
            if measurement not in MEASUREMENTS:
                raise unknown("measurement", measurement, MEASUREMENTS)
        if not mapping("networks", self.networks):
            raise UserError(f"experiment {self.name!r} has no networks: name at least one.")
        check_recipe(None, self.recipe)
        if not isinstance(self.claims, (list, tuple)):
            raise UserError(f"the claims of {self.name!r} are no list: begin each with a dash.")
        claims = tuple(Claim.read(claim, self.name) for claim in self.claims)
        object.__setattr__(self, "claims", claims)
        for scale in mapping("scales", self.scales):
            if scale not in SCALES:
                raise unknown("scale", scale, SCALES)
            self.members(scale)
        if scales := self._labels():
            check_claims(claims, self.measurements, scales)

    @classmethod
    def read(cls, values: Mapping[str, Any]) -> Self:
        """Read an experiment from plain data; an unknown name fails with the nearest."""
        given = known("field of an experiment", values, cls)
        if missing := [name for name in ("name", "title", "networks") if name not in given]:
            raise UserError(f"the experiment has no {missing[0]}: write a line `{missing[0]}: ...`.")
        return cls(**given)

    def scale(self, name: str) -> Scale:
        """Return one of the three scales as this experiment has it."""
        if name not in SCALES:
            raise unknown("scale", name, SCALES)
        own = mapping(f"scale {name}", self.scales.get(name) or {})
        chosen = SCALES[name].edit(**own)
        changes = {**SCALES[name].changes, **self.recipe, **own.get("changes", {})}
        check_recipe(chosen.recipe or "fast", changes)
        return chosen.edit(changes=changes)

    def members(self, scale: str) -> list[Member]:
        """Return the networks at a scale, in their order."""
        chosen = self.scale(scale)
        found: dict[str, Member] = {}
        for label, given in self.networks.items():
            for depths in _choices(chosen.depths, _placeholders(label, given)):
                named = self._filled(label, depths, scale)
                if named in found:
                    raise UserError(f"two networks of {self.name!r} are called {named!r}: name each once.")
                found[named] = self._member(named, given, depths, scale)
                check_recipe(chosen.recipe or "fast", {**chosen.changes, **found[named].changes})
        for label in chosen.without:
            if label not in found:
                raise unknown(f"network of {self.name!r}", label, found)
        if not found.keys() - set(chosen.without):
            raise UserError(
                f"{self.name!r} has no network at scale {scale}: leave one in, and name its depths."
            )
        return [member for label, member in found.items() if label not in chosen.without]

    def trainings(self, scale: str) -> int:
        """Return how many trainings it is at a scale."""
        return len(self.members(scale)) * self.scale(scale).seeds if self.trained else 0

    def as_json(self) -> dict[str, Any]:
        """Return in short what it is as plain data."""
        told = {"name": self.name, "title": self.title, "question": self.question}
        trainings = {scale: self.trainings(scale) for scale in SCALES}
        return {**told, "claims": len(self.claims), "trainings": trainings}

    def _labels(self) -> list[Labels]:
        """Return the networks' labels at every scale that can be filled in."""
        found: list[Labels] = []
        for scale in SCALES:
            with suppress(UserError):
                found.append(({member.label for member in self.members(scale)}, self.scale(scale).ends))
        return found

    def _member(self, label: str, given: Any, depths: Mapping[str, int], scale: str) -> Member:
        if not (label.strip() and label.isprintable()):
            raise UserError(f"{label!r} of {self.name!r} labels no network: use letters that can be seen.")
        fields_ = {"network": given} if isinstance(given, str) else dict(mapping(label, given))
        recipe = mapping("recipe", fields_.pop("recipe", {}))
        name = self._filled(str(fields_.pop("network", "")), depths, scale)
        if self.trained and (decided := [name for name in DATA_DECIDES if name in fields_]):
            raise UserError(f"{decided[0]} of {label!r} is what the pictures make it: leave it out.")
        return Member(label, spec(name, **fields_), recipe)

    def _filled(self, text: str, depths: Mapping[str, int], scale: str) -> str:
        try:
            return filled(text, depths)
        except (KeyError, ValueError, IndexError, AttributeError, TypeError):
            raise UserError(
                f"{text!r} of experiment {self.name!r} cannot be filled in at scale {scale}: say under "
                f"scales, {scale}, depths what each of its names in braces stands for."
            ) from None


def check_name(name: str) -> None:
    """Fail for what cannot name a folder."""
    if not re.fullmatch(r"\w[\w-]{0,59}", name):
        raise UserError(f"name={name!r} is not valid: use letters, digits, _ and - only.")


def check_recipe(name: str | None, given: Any) -> None:
    """Fail for a recipe that does not exist, and for changes that it, or without a name any, cannot have."""
    changes = Changes.sorted(mapping("recipe", given))
    for other in given:
        if other not in changes.recipe and not other.startswith("augmentation."):
            raise UserError(f"{other} is no part of a recipe, so no experiment changes it: leave it out.")
    if name is None:
        return
    if name not in RECIPES:
        raise unknown("recipe", name, RECIPES)
    small, photo = RECIPES[name]
    try:
        changes.of_recipe(small)
    except UserError:
        changes.of_recipe(photo)


def _placeholders(label: str, given: Any) -> set[str]:
    """Names in braces of a label and of its network."""
    network = given if isinstance(given, str) else str(mapping(label, given).get("network", ""))
    try:
        return {name for text in (label, network) for _, name, _, _ in Formatter().parse(text) if name}
    except ValueError as error:
        raise UserError(f"{label!r} is not valid: {error}.") from None


def _choices(depths: Depths, names: set[str]) -> Iterator[dict[str, int]]:
    """Every combination of the depths that a network asks for."""
    asked = [name for name in depths if name in names]
    if prod(len(depths[name]) for name in asked) > MOST_NETWORKS:
        raise UserError(
            f"{', '.join(asked)} make more than {MOST_NETWORKS} networks of one: name fewer depths."
        )
    for values in product(*(depths[name] for name in asked)):
        yield dict(zip(asked, values, strict=True))
