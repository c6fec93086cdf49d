"""Residua: residual networks as real software."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from residua.data.checking.checked import check as check
    from residua.data.packing.writing import pack as pack
    from residua.data.sources.recognition import open_data as open_data
    from residua.errors import UserError as UserError
    from residua.judging.evaluation import evaluate as evaluate
    from residua.judging.explaining.explanation import explain as explain
    from residua.judging.model import load as load
    from residua.lab.experiment import Experiment as Experiment
    from residua.lab.inside.gradients import gradients as gradients
    from residua.lab.inside.paths import paths as paths
    from residua.lab.inside.responses import responses as responses
    from residua.lab.running import run_experiment as run_experiment
    from residua.nets.batchnorm import recalibrate as recalibrate
    from residua.nets.network import Network as Network
    from residua.nets.network import Vgg as Vgg
    from residua.nets.plan import plan as plan
    from residua.nets.spec import Spec as Spec
    from residua.nets.spec import VggSpec as VggSpec
    from residua.nets.unravel import unravel as unravel
    from residua.nets.zoo import list_models as list_models
    from residua.nets.zoo import spec as spec
    from residua.training.running import resume as resume
    from residua.training.running import train as train
    from residua.weights.create import create as create
    from residua.weights.modelfile import save as save

__version__ = "0.1.0"

# Where each public name lives: imported when first used, so that what needs no torch does not load it.
_HOMES = {
    "UserError": "errors",
    "check": "data.checking.checked",
    "pack": "data.packing.writing",
    "open_data": "data.sources.recognition",
    "evaluate": "judging.evaluation",
    "explain": "judging.explaining.explanation",
    "load": "judging.model",
    "Experiment": "lab.experiment",
    "run_experiment": "lab.running",
    "gradients": "lab.inside.gradients",
    "paths": "lab.inside.paths",
    "responses": "lab.inside.responses",
    "recalibrate": "nets.batchnorm",
    "create": "weights.create",
    "Network": "nets.network",
    "Vgg": "nets.network",
    "plan": "nets.plan",
    "Spec": "nets.spec",
    "VggSpec": "nets.spec",
    "unravel": "nets.unravel",
    "list_models": "nets.zoo",
    "spec": "nets.zoo",
    "resume": "training.running",
    "train": "training.running",
    "save": "weights.modelfile",
}
__all__ = [*_HOMES]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'residua' has no attribute {name!r}")
    value = getattr(import_module(f"residua.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
