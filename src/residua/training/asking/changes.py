"""Changes by name, sorted by what they change: recipe, augmentation, network, preprocessing, settings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

from residua.data.augmentation import Augmentation
from residua.errors import unknown
from residua.nets.spec import AnySpec
from residua.nets.values import from_text, hints
from residua.training.asking.wanted import asked_for
from residua.training.recipes import Recipe
from residua.training.settings import Settings
from residua.weights.metadata import Preprocessing

Values = dict[str, Any]
TYPES = {"augmentation": hints(Augmentation), "preprocessing": hints(Preprocessing)}
DESCRIBED = ("spec", "preprocessing", "recipe", "steps", "epoch_steps")  # in ways of their own
SETTINGS = {name: hint for name, hint in hints(Settings).items() if name not in DESCRIBED}
OWN = {name: hint for name, hint in SETTINGS.items() if name not in asked_for()}  # no flag but --set


@dataclass(frozen=True)
class Changes:
    """What to change, sorted; only a network's values may still be text."""

    recipe: Values = field(default_factory=dict)
    augmentation: Values = field(default_factory=dict)
    model: Values = field(default_factory=dict)
    preprocessing: Values = field(default_factory=dict)
    own: Values = field(default_factory=dict)

    @classmethod
    def sorted(cls, given: Mapping[str, Any]) -> Changes:
        """Sort changes; a name that nothing has fails with the nearest."""
        found = cls()
        known = [f.name for f in fields(Recipe) if f.name != "name"]
        for name, value in given.items():
            whose, dot, rest = name.partition(".")
            if dot and whose in TYPES:
                getattr(found, whose)[rest] = _typed(f"field of the {whose}", rest, value, TYPES[whose])
            elif dot and whose == "model":  # which has its fields is known when it is
                found.model[rest] = value
            elif name in known:
                found.recipe[name] = _read(name, value, Recipe.hint(name))
            elif name in OWN:
                found.own[name] = _read(name, value, OWN[name])
            else:
                raise unknown("setting", name, [*asked_for(), *known, *OWN])
        return found

    def of_recipe(self, recipe: Recipe) -> Recipe:
        """Return the recipe changed."""
        changed = recipe.edit(**self.recipe)
        return changed.edit(augmentation=changed.augmentation.edit(**self.augmentation))

    def of_network(self, spec: AnySpec) -> AnySpec:
        """Return the network's description changed."""
        return spec.edit(**{name: _read(name, value, spec.hint(name)) for name, value in self.model.items()})

    def of_preprocessing(self, rule: Preprocessing) -> Preprocessing:
        """Return the preprocessing changed."""
        return replace(rule, **self.preprocessing)


def _typed(what: str, name: str, value: Any, kinds: Values) -> Any:
    if name not in kinds:
        raise unknown(what, name, kinds)
    return _read(name, value, kinds[name])


def _read(name: str, value: Any, hint: Any) -> Any:
    return from_text(name, value, hint) if isinstance(value, str) else value
