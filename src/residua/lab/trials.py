"""One trial: a network trained once, found again by what decides its result."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import MISSING, dataclass, fields
from functools import cached_property
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Self

from residua.data.augmentation import description as augmentations
from residua.lab import TRIALS
from residua.lab.experiment import DATA_DECIDES, Experiment, Member
from residua.lab.scales import Scale
from residua.nets import spec as networks
from residua.nets.memory import memory
from residua.nets.plan import plan
from residua.nets.spec import FAMILIES, AnySpec, Spec
from residua.training import recipes
from residua.training.recipes import Recipe, recipe

# Of everything that decides results and is not said here: defaults of descriptions too. Another one makes
# all trials anew.
VERSION = 3
OWN = ("seed", "pictures", "device", "precision", "compiled", "photos")
SPLIT_SEED = 0  # all trials of a data set learn from the same pictures, and are judged by the same


@dataclass(frozen=True)
class Trial:
    """A training, and the digest of all that decides what comes of it."""

    spec: AnySpec
    settings: Mapping[str, Any]  # as `residua.train` takes them, but for the network
    seed: int
    pictures: str  # digest of the data
    device: str = "cpu"  # or cuda: sums have other last bits there
    precision: str = "fp32"
    compiled: bool = False
    photos: bool | None = None  # what the pictures are: a recipe has a form for photos; None: not known

    @cached_property
    def digest(self) -> str:
        """Return the digest by which it is found again."""
        text = json.dumps(self.as_json(), sort_keys=True)
        return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()

    @cached_property
    def name(self) -> str:
        """Return what its folder is called; by what the network is, for one network has several names."""
        kind, special = "vgg", []
        if isinstance(self.spec, Spec):
            kind = "resnet" if self.spec.residual else "plain"
            usual = ("original", "identity", None)
            special = [word for word in (self.spec.order, self.spec.shortcut) if word not in usual]
        words = [f"{kind}{plan(self.spec).depth}", *special, f"seed{self.seed}", self.digest[:12]]
        return "-".join(map(str, words))

    def memory(self, side: int) -> int:
        """Return the bytes that a batch of pictures of this size keeps for its gradients."""
        batch = self.settings.get("batch") or max(form.batch for form in self._forms())
        kept: int = memory(plan(self.spec, side)).training * batch
        return kept

    def folder(self, lab: Path) -> Path:
        """Return where its run lies."""
        return lab / TRIALS / self.name

    def asked(self) -> dict[str, Any]:
        """Return what to ask of `residua.train`: nothing is left to be measured."""
        network = {name: value for name, value in self.spec.to_dict().items() if value is not None}
        return {
            "spec": {"family": self.spec.family, **network},
            "weights": "none",
            "precision": self.precision,
            "deterministic": True,
            "compiled": self.compiled,
            "report": False,  # `residua report` writes it for whoever wants to look at a trial
            "on_nan": "skip",  # a network that cannot be trained has a result too
            "seed": self.seed,
            "split_seed": SPLIT_SEED,
            **self.settings,
        }

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain data, from which `read` makes it again."""
        asked = self.asked()
        own = {name: getattr(self, name) for name in OWN}
        return {"spec": asked["spec"], "settings": dict(self.settings), **own}

    @classmethod
    def read(cls, values: Mapping[str, Any]) -> Self:
        """Read what `to_dict` gave."""
        described = dict(values["spec"])
        kind = FAMILIES[described.pop("family")]
        return cls(**{**values, "spec": kind(**described)})

    def as_json(self) -> dict[str, Any]:
        """Return all that decides the result, as plain data; fields that are as usual are left out.

        A new field that is usual where nobody sets it gives no trial another digest.
        """
        asked, forms = self.asked(), self._forms()
        conditional = networks.CONDITIONAL if isinstance(self.spec, Spec) else {}
        network = unusual(self.spec, conditional, ("name", *DATA_DECIDES))
        without = ("name", "report") if self._scored(forms) else ("name", "report", "metric")
        for name in without:
            asked.pop(name, None)
        return {
            **asked,
            "spec": {"family": self.spec.family, **network},
            "recipe": [_deciding(form, without) for form in forms],
            "chosen": self.settings.get("recipe") is None,  # then it is long enough for the pictures
            "pictures": self.pictures,
            "device": self.device,
            "version": VERSION,
        }

    def _forms(self) -> list[Recipe]:
        """Return the recipe in its form for these pictures; in both where it is not known what they are."""
        sizes = {False: augmentations.SMALL, True: augmentations.SMALL + 1}
        name, depth = self.settings.get("recipe") or "fast", plan(self.spec).depth
        return [
            recipe(name, size=size, depth=depth)
            for photos, size in sizes.items()
            if self.photos in (None, photos)
        ]

    def _scored(self, forms: Collection[Recipe]) -> bool:
        """Whether scores may decide how it goes on; else the metric only says which pass was the best."""
        ways: list[Any] = [*forms, SimpleNamespace(**{"patience": None, "schedule": None, **self.settings})]
        return any(way.patience or way.schedule == "plateau" for way in ways)


def _deciding(form: Recipe, without: Collection[str]) -> dict[str, Any]:
    augmentation = unusual(form.augmentation, augmentations.CONDITIONAL)
    return {**unusual(form, recipes.CONDITIONAL, without), "augmentation": augmentation}


def unusual(described: Any, conditional: Mapping[str, Any], without: Collection[str] = ()) -> dict[str, Any]:
    """Return the fields of a description that are neither at their default nor, beside others, as usual."""
    found = {}
    for f in fields(described):
        default = f.default if f.default_factory is MISSING else f.default_factory()
        usual = (default, conditional[f.name].usual) if f.name in conditional else (default,)
        if f.name not in without and getattr(described, f.name) not in usual:
            found[f.name] = getattr(described, f.name)
    return found


def trials(
    experiment: Experiment, scale: str, pictures: str, seeds: int | None = None, **computed: Any
) -> list[tuple[Member, Trial]]:
    """Return an experiment's trials, each beside the member that it trains, seed by seed.

    `computed` has what else decides a trial: `device`, `precision`, `compiled`, and `photos`, what the
    pictures are.
    """
    if not experiment.trained:
        return []
    chosen, members = experiment.scale(scale), experiment.members(scale)
    return [
        (member, Trial(member.spec, _settings(chosen, member), seed, pictures, **computed))
        for seed in range(seeds or chosen.seeds)
        for member in members
    ]


def _settings(scale: Scale, member: Member) -> dict[str, Any]:
    """Settings by name; what nobody set is left out, so that one training has one digest."""
    changes = {**scale.changes, **member.changes}
    usual = scale.edit(epochs=None) if changes.get("steps") else scale  # two lengths of one training
    given = {**usual.settings, **member.changes}
    return {name: value for name, value in given.items() if value is not None}
