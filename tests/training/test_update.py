"""An update moves everything it should, or nothing at all."""

import copy
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import residua
from residua.data.augmentation import AUGMENTATIONS
from residua.data.loading.loader import Batch
from residua.training.keeping.run import Run
from residua.training.loop import Training
from residua.training.pictures.loaders import Loaders
from residua.training.updating.state import State
from residua.training.updating.update import DivergedError, Updater
from training.tiny import digits, poisoned, same, settings, training


def begun(folder: Path, updates: int = 2, **recipe: Any) -> tuple[Training, Batch]:
    """A training after some updates, and the batch for its next."""
    with Run.create_at(folder) as run:
        work = training(run, settings(**recipe))
    batches = list(work.loaders.training(0).epoch(0))
    for batch in batches[:updates]:
        work.update(batch, 0)
        work.counts.step += 1
    return work, batches[updates]


def test_an_update_moves_weights_statistics_momentum_and_average(tmp_path: Path) -> None:
    work, batch = begun(tmp_path / "run", average=0.9)
    before = copy.deepcopy(work.state.tensors())
    work.update(batch, 0)
    after = work.state.tensors()
    assert after.keys() == before.keys()
    assert not [name for name in after if torch.equal(before[name], after[name])]


def test_a_network_without_batch_norms_has_no_statistics_to_move_or_put_back(tmp_path: Path) -> None:
    with Run.create_at(tmp_path / "run") as run:
        work = training(run, settings({"norm": "none"}))
    batch = next(iter(work.loaders.training(0).epoch(0)))
    assert work.update(batch, 0) < 10
    work.counts.step += 1
    before = copy.deepcopy(work.state.tensors())
    poisoned(work, 1, POISONS["nan"])
    with pytest.raises(DivergedError):
        work.update(batch, 0)
    assert same(work.state.tensors(), before)


def gradient_of_infinity(logits: Tensor) -> Tensor:
    """Logits of which the loss is well and the gradient is not."""
    logits.register_hook(lambda gradient: gradient * float("inf"))  # type: ignore[no-untyped-call]
    return logits


POISONS: dict[str, Callable[[Tensor], Tensor]] = {
    "nan": lambda logits: logits * float("nan"),
    "loss": lambda logits: logits * 1e5,
    "gradient": gradient_of_infinity,
}


@pytest.mark.parametrize("poison", POISONS)
@pytest.mark.parametrize("recipe", [{"average": 0.9}, {"optimizer": "muon"}, {"accumulate": 3, "clip": 1.0}])
def test_one_that_diverges_leaves_all_as_it_was(poison: str, recipe: dict[str, Any], tmp_path: Path) -> None:
    work, batch = begun(tmp_path / "run", **recipe)
    poisoned(work, 2, POISONS[poison])
    before = copy.deepcopy(work.state.tensors())
    with pytest.raises(DivergedError) as told:
        work.update(batch, 0)
    assert same(work.state.tensors(), before)
    assert str(told.value).startswith("step 3 ") and told.value.places == batch.places.tolist()


def test_statistics_that_explode_are_seen_though_the_loss_is_well(tmp_path: Path) -> None:
    work, batch = begun(tmp_path / "run")
    norm = next(m for m in work.state.network.modules() if isinstance(m, nn.BatchNorm2d))
    before = copy.deepcopy(work.state.tensors())

    def explode(module: nn.Module, *_: object) -> None:
        assert isinstance(module, nn.BatchNorm2d) and module.running_var is not None
        module.running_var.data.fill_(float("inf"))

    norm.register_forward_hook(explode)
    with pytest.raises(DivergedError):
        work.update(batch, 0)
    assert same(work.state.tensors(), before)


def test_a_rare_class_may_weigh_a_lot(tmp_path: Path) -> None:
    work, batch = begun(tmp_path / "run", updates=0)
    weights = torch.ones(10)
    weights[batch.labels[0]] = 5000  # one of so many pictures
    assert Updater(work.state, work.settings, weights)(batch, 0) > 250
    poisoned(work, 0, POISONS["loss"])
    with pytest.raises(DivergedError):
        Updater(work.state, work.settings, torch.ones(10))(batch, 0)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
@pytest.mark.parametrize("augmentation", ["none", "cifar", "photo-strong"])
def test_an_update_waits_for_a_gpu_once(augmentation: str) -> None:
    chosen = replace(settings(augmentation=AUGMENTATIONS[augmentation], accumulate=2), device="cuda")
    state = State(residua.create(chosen.spec).cuda(), chosen.recipe)
    update, batches = Updater(state, chosen), Loaders(digits(), chosen).training(0).epoch(0)
    update(next(batches), 0)  # constants are brought there once
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        torch.cuda.set_sync_debug_mode("warn")
        try:
            update(next(batches), 0)
        finally:
            torch.cuda.set_sync_debug_mode("default")
    assert ["called a synchronizing" in str(each.message) for each in said].count(True) == 1


def test_parts_of_a_batch_add_up_to_it(tmp_path: Path) -> None:
    """But for batch norms, which see the parts."""
    found = []
    for parts in (1, 3):
        with Run.create_at(tmp_path / str(parts)) as run:
            work = training(run, settings({"norm": "none"}, accumulate=parts))
        loss = work.update(next(work.loaders.training(0).epoch(0)), 0)
        found.append((loss, work.state.tensors()))
    (loss, whole), (other, pieces) = found
    assert other == pytest.approx(loss)
    for name, tensor in whole.items():
        torch.testing.assert_close(pieces[name], tensor, rtol=1e-4, atol=1e-6)
