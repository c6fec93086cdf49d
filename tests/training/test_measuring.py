"""What measured times decide, with a stopwatch whose times the test states; and one real measurement."""

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import residua
from residua.data.ahead import processors
from residua.data.packing.paying import Verdict
from residua.errors import UserError
from residua.nets.network import build_network
from residua.nets.plan import plan
from residua.training.pictures.packed import packed
from residua.training.settings import Settings
from residua.training.settling import stopwatch
from residua.training.settling.costs import ENDING, EXPLAINED, waiting
from residua.training.settling.measuring import STEEPEST, Unsettled, measured
from residua.training.settling.room import free_memory
from residua.training.settling.stopwatch import CompileError, Stopwatch, Update
from residua.training.updating import update as updating
from residua.training.updating.descent import Descent
from residua.training.updating.update import TooLargeError
from training import tiny

HOUR = 3600.0
FAST = {"fp32": 0.2, "bf16": 0.1}
NOTHING = Unsettled(precision=False, compiled=False, workers=False, packed=False)


class Stated(Stopwatch):
    """A stopwatch that shows what it is told, and keeps what it was asked."""

    def __init__(self, **stated: Any) -> None:
        self.each = stated.pop("each", FAST)
        self.compiled = stated.pop("compiled", Update(60.0, 0.05, 0.05))
        self.stated: dict[str, Any] = {
            "usual": None,
            "elapsed": 0.0,
            "judging": 0.0,
            "reading": 0.0,
            "in_memory": False,
            "held_out": 0,
            "pictures": 10_000,
        } | stated
        self.asked: list[str] = []

    def elapsed(self) -> Any:
        return self.stated["elapsed"]

    def update(self, settings: Settings) -> Any:
        if settings.compiled:
            self.asked.append("compiled")
            if isinstance(self.compiled, CompileError):
                raise self.compiled
            return self.compiled
        self.asked.append(settings.precision)
        each = self.each[settings.precision] if isinstance(self.each, dict) else self.each(settings)
        return Update(each, each, self.stated["usual"] or each)

    def fits(self, settings: Settings) -> Any:
        return settings.recipe.batch <= self.stated.get("room", 10_000)

    def epoch_steps(self, settings: Settings) -> Any:
        return self.stated["pictures"] // settings.recipe.batch

    def held_out(self) -> Any:
        return self.stated["held_out"]

    def judging(self, _: Settings) -> Any:
        return self.stated["judging"]

    def reading(self, _: Settings) -> Any:
        return self.stated["reading"]

    def in_memory(self) -> Any:
        return self.stated["in_memory"]

    def packing(self, _: Settings, epochs: int) -> Verdict:
        self.asked.append(f"packing for {epochs}")
        return Verdict(self.stated["pays"], 0, 0.0, "Packed: so said the test.")


def settings(**changes: Any) -> Settings:
    """Ten passes of 100 updates, in bf16."""
    base = tiny.settings(epochs=10, batch=100, learning_rate=0.1)
    rule = replace(base.preprocessing, resize=9)
    usual: dict[str, Any] = {
        "steps": 1000,
        "epoch_steps": 100,
        "precision": "bf16",
        "preprocessing": rule,
        "workers": 1,
    }
    return replace(base, **(usual | changes))


def only(**what: Any) -> Unsettled:
    return replace(NOTHING, **what)


def test_precision_is_the_faster_one_and_says_by_how_much() -> None:
    found, said = measured(settings(), only(precision=True), Stated())
    assert found.precision == "bf16"
    assert said == ["bf16: an update of 25 takes 100 ms, in fp32 200 ms."]
    for fp32, precision in ((0.1, "fp32"), (0.19, "bf16")):  # near each other it is chance which is faster
        found, said = measured(settings(), only(precision=True), Stated(each={"fp32": fp32, "bf16": 0.2}))
        assert found.precision == precision


@pytest.mark.parametrize(
    ("batch", "accumulate", "tried"), [(100, 1, 25), (100, 20, 40), (6, 1, 2), (8, 8, 8), (1, 1, 1)]
)
def test_precisions_are_compared_by_a_part_of_the_batch_as_fp32_needs_more_memory(
    batch: int, accumulate: int, tried: int
) -> None:
    batches = []

    def each(s: Settings) -> float:
        batches.append(s.recipe.batch)
        return FAST[s.precision]

    watch, chosen = Stated(each=each), settings()
    chosen = replace(chosen, recipe=chosen.recipe.edit(batch=batch, accumulate=accumulate))
    assert measured(chosen, only(precision=True), watch)[0] == chosen
    assert batches == [tried, tried]


def test_what_was_asked_for_and_what_a_processor_cannot_do_are_not_measured() -> None:
    watch = Stated()
    assert measured(settings(), NOTHING, watch) == (settings(), [])
    single = settings(precision="fp32")
    assert measured(single, only(precision=True), watch) == (single, [])
    assert watch.asked == []


def test_a_deterministic_training_measures_nothing() -> None:
    watch, exact = Stated(), settings(deterministic=True)
    assert measured(exact, Unsettled(batch=True), watch) == (exact, [])
    assert watch.asked == []


def test_compiling_is_not_tried_for_a_short_training() -> None:
    watch = Stated()
    found, said = measured(settings(steps=5999), only(compiled=True), watch)
    assert not found.compiled
    assert "less than 10 minutes" in said[0]
    assert "compiled" not in watch.asked


@pytest.mark.parametrize(
    ("compiled", "changes", "pays"),
    [
        (Update(60.0, 0.05, 0.05), {}, True),  # half of 1,000 seconds for 60
        (Update(600.0, 0.05, 0.05), {}, False),
        (Update(10.0, 0.12, 0.12), {}, False),
        (Update(300.0, 0.05, 0.05), {"sizes": (0.5, 1.0)}, False),  # each size of pictures is compiled for
        (Update(300.0, 0.05, 0.05), {"freeze": 1}, False),
        (Update(300.0, 0.05, 0.05), {}, True),
    ],
)
def test_compiling_pays_where_the_training_wins_more_than_it_costs(
    compiled: Update, changes: dict[str, Any], pays: bool
) -> None:
    long = settings(steps=10_000)
    long = replace(long, recipe=long.recipe.edit(**changes))
    found, said = measured(long, only(compiled=True), Stated(compiled=compiled))
    assert found.compiled is pays
    assert said[0].startswith("Compiled" if pays else "Not compiled")


def test_what_is_to_save_memory_is_not_compiled() -> None:
    watch = Stated()
    found, said = measured(settings(steps=100_000, checkpointing=True), only(compiled=True), watch)
    assert not found.compiled and "compiled" not in watch.asked
    assert said == ["Not compiled: that takes memory, which checkpointing is to save."]


def test_a_machine_that_cannot_compile_is_told_in_a_sentence() -> None:
    broken = Stated(compiled=CompileError("no C++ compiler"))
    found, said = measured(settings(steps=100_000), only(compiled=True), broken)
    assert not found.compiled
    assert said == ["Not compiled: it does not work here (no C++ compiler)."]


def test_the_batch_grows_while_that_pays_and_the_rate_with_it() -> None:
    def each(s: Settings) -> float:
        return 0.1 + s.recipe.batch / 1000  # what does not grow with the batch fades away

    watch = Stated(each=each, pictures=100_000)
    found, said = measured(settings(steps=10_000, epoch_steps=1000), only(batch=True), watch)
    batch = found.recipe.batch
    assert 256 <= batch <= 1024
    assert found.recipe.learning_rate == pytest.approx(0.1 * min(batch / 100, STEEPEST))
    assert found.epoch_steps == 100_000 // batch
    assert found.steps == 10 * found.epoch_steps
    assert said[0].startswith(f"Batch {batch}")


@pytest.mark.parametrize(
    ("optimizer", "room", "factor"),
    [("sgd", 32, 0.32), ("sgd", 1024, STEEPEST), ("adamw", 32, 0.32**0.5), ("muon", 1024, 10.24**0.5)],
)
def test_the_rate_follows_the_batch_as_the_optimizer_bears(optimizer: str, room: int, factor: float) -> None:
    watch = Stated(each=lambda _: 0.1, pictures=100_000, room=room)
    chosen = settings(epoch_steps=1000)
    chosen = replace(chosen, recipe=chosen.recipe.edit(optimizer=optimizer))
    found = measured(chosen, only(batch=True), watch)[0].recipe
    assert found.batch == (32 if room == 32 else 512 * 2)
    assert found.learning_rate == pytest.approx(0.1 * factor)
    assert found.vector_rate == (pytest.approx(0.1 * factor) if optimizer == "muon" else None)


@pytest.mark.parametrize("name", ["learning_rate", "vector_rate", "steps"])
def test_what_was_given_by_name_does_not_go_with_the_batch(name: str) -> None:
    watch = Stated(each=lambda _: 0.1, pictures=100_000)
    chosen = settings(epoch_steps=1000)
    chosen = replace(chosen, recipe=chosen.recipe.edit(optimizer="muon", steps=1000, epochs=None))
    found, said = measured(chosen, only(batch=True, named=frozenset({name})), watch)
    for field in ("learning_rate", "vector_rate", "steps"):
        kept = getattr(found.recipe, field) == getattr(chosen.recipe, field)
        assert kept == (field == name), field
    assert ("learning rate goes with it" in said[0]) == (name != "learning_rate")


def test_no_picture_is_left_out_of_a_pass_because_another_batch_left_it_out() -> None:
    chosen = settings(epoch_steps=7)
    chosen = replace(chosen, recipe=chosen.recipe.edit(batch=128))
    found, _ = measured(chosen, only(batch=True), Stated(pictures=1000, room=8))
    assert (found.recipe.batch, found.epoch_steps, found.steps) == (8, 125, 1250)


def test_a_batch_has_two_pictures_for_each_part() -> None:
    chosen = settings()
    chosen = replace(chosen, recipe=chosen.recipe.edit(accumulate=16))
    assert measured(chosen, only(batch=True), Stated(room=0))[0].recipe.batch == 32


def test_the_batch_fits_into_memory_and_into_the_data() -> None:
    growing = {"each": lambda _: 0.1}
    found, _ = measured(
        settings(epoch_steps=1000), only(batch=True), Stated(**growing, room=64, pictures=100_000)
    )
    assert found.recipe.batch == 64
    found, _ = measured(settings(epoch_steps=4), only(batch=True), Stated(**growing, pictures=400))
    assert found.recipe.batch * 8 <= 400


@pytest.mark.parametrize(
    ("stated", "why"),
    [
        ({"room": 64}, "Batch 64, as a larger one needs too much memory"),
        ({"pictures": 400}, "Batch 32, as a larger one leaves too few updates in a pass"),
        ({"each": lambda chosen: 0.01 * chosen.recipe.batch}, "Batch 8, as a larger one wins little"),
        (
            {"each": lambda chosen: 0.1 if chosen.recipe.batch < 99 else too_large()},
            "Batch 64, as a larger one needs",
        ),
        ({}, "Batch 1024, the largest that is tried"),
    ],
)
def test_why_a_batch_is_the_fastest_is_said(stated: dict[str, Any], why: str) -> None:
    watch = Stated(**{"each": lambda _: 0.1, "pictures": 100_000} | stated)
    assert measured(settings(epoch_steps=1000), only(batch=True), watch)[1][0].startswith(why)


def too_large() -> float:
    raise TooLargeError(128)


def test_what_would_diverge_on_noise_is_measured_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(updating, "EXPLODED", 0)
    watch = Stopwatch(tiny.digits(), tmp_path, lambda chosen: build_network(plan(chosen.spec)))
    assert watch.update(tiny.settings()).each > 0


def test_free_memory_is_what_can_be_had(tmp_path: Path) -> None:
    machine, group = tmp_path / "meminfo", tmp_path / "group"
    assert free_memory("cpu", machine, group) == 4 << 30  # nobody knows
    machine.write_text("MemTotal: 9 kB\nMemFree: 1 kB\nMemAvailable:       5000 kB\n")
    assert free_memory("cpu", machine, group) == 5000 * 1024
    group.mkdir()
    for name, said in (
        ("memory.max", "max"),
        ("memory.current", "9000"),
        ("memory.stat", "inactive_file 500\n"),
    ):
        (group / name).write_text(said)
    assert free_memory("cpu", machine, group) == 5000 * 1024
    (group / "memory.max").write_text("10000")
    assert free_memory("cpu", machine, group) == 1500
    assert free_memory("cpu") > 0


def test_as_many_threads_read_as_judging_needs() -> None:
    for reading, threads in ((0.0001, 1), (1.0, processors())):
        found, _ = measured(settings(workers=1), only(workers=True), Stated(reading=reading))
        assert found.workers == threads


def test_little_is_read_by_who_computes_where_no_processor_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("residua.training.settling.measuring.processors", lambda: 4)
    for reading, threads, device, readers in (
        (0.00004, 4, "cpu", 0),  # 4 ms beside updates of 100 ms
        (0.00006, 4, "cpu", 1),
        (0.00004, 3, "cpu", 1),
        (0.00004, 4, "cuda", 1),
    ):
        chosen = settings(threads=threads, device=device)
        found, _ = measured(chosen, only(workers=True), Stated(reading=reading))
        assert found.workers == readers


def test_what_reading_adds_depends_on_who_reads() -> None:
    watch = Stated(reading=0.002)  # 200 ms a batch, beside updates of 100 ms
    for workers, device, added in (
        (0, "cpu", 0.2),
        (1, "cpu", 0.2 / processors()),
        (0, "cuda", 0.2),
        (1, "cuda", 0.1),
    ):
        assert waiting(settings(workers=workers, device=device), watch) == pytest.approx(added)


def test_pictures_are_packed_where_reading_takes_a_share_worth_winning() -> None:
    watch = Stated(reading=0.0002 * processors(), pays=True)  # 20 ms beside updates of 100 ms
    found, said = measured(settings(), only(packed=True), watch)
    assert found.packed == 9
    assert said == ["Packed: so said the test."]
    assert "packing for 10" in watch.asked
    found, _ = measured(settings(), only(packed=True), Stated(reading=0.0002 * processors(), pays=False))
    assert found.packed is None
    for cheap in (Stated(reading=1e-6), Stated(in_memory=True)):
        assert measured(settings(), only(packed=True), cheap) == (settings(), [])


def test_a_time_becomes_a_number_of_updates_with_reading_and_judging_counted() -> None:
    plain, said = measured(settings(), only(minutes=60), Stated())
    assert plain.steps == pytest.approx((0.97 * HOUR - ENDING) / 0.1, rel=1e-4)
    assert plain.recipe.steps == plain.steps
    assert plain.recipe.epochs is None
    assert said[-1].startswith("60 minutes: 34,8")
    busy, _ = measured(settings(), only(minutes=60), Stated(usual=0.2))
    assert busy.steps == pytest.approx(plain.steps / 2, abs=1)


@pytest.mark.parametrize("minutes", [1, 1.5, 2, 5, 60])
@pytest.mark.parametrize("epoch_steps", [1, 8, 100])
def test_a_time_ends_when_it_is_over(minutes: float, epoch_steps: int) -> None:
    watch = Stated(elapsed=6.0, judging=0.009, reading=0.001, in_memory=True, held_out=500)
    chosen = settings(val=0.01, epoch_steps=epoch_steps)  # what was asked to be held out says nothing
    found, _ = measured(chosen, only(minutes=minutes), watch)
    judged = 500 * 0.010
    ending = ENDING + judged + 40 * (EXPLAINED * 0.009 + 0.001)
    took = 6.0 + found.steps * 0.2 + found.epochs * judged + ending
    assert 0.97 * 60 * minutes - judged - 0.25 < took <= 0.97 * 60 * minutes
    unshown, _ = measured(replace(chosen, report=False), only(minutes=minutes), watch)
    assert unshown.steps >= found.steps


def test_a_real_training_ends_when_its_time_is_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RESIDUA_CACHE", str(tmp_path / "cache"))
    quick: dict[str, Any] = {"model": "tiny_resnet", "device": "cpu", "threads": 1}
    for seconds in (6, 24, 96):  # a busy machine needs more of them for a single update
        began, start = time.process_time(), time.monotonic()
        try:
            finished = residua.train(
                "digits", out=tmp_path / "run", limit=64, val=0.5, time=seconds / 60, **quick
            )
        except UserError as error:
            assert "not one update fits" in str(error)
            continue
        assert finished.summary["val"] > 10 * finished.summary["train"]
        assert min(time.process_time() - began, time.monotonic() - start) < 1.25 * seconds
        return
    pytest.fail("there was no time at all")


def test_smaller_pictures_leave_time_for_more_updates() -> None:
    growing = settings()
    growing = replace(growing, recipe=growing.recipe.edit(sizes=(0.5, 1.0)))
    found, _ = measured(growing, only(minutes=60), Stated())
    assert found.steps == pytest.approx((0.97 * HOUR - ENDING) / (0.1 * 0.625), rel=0.001)


def test_a_time_in_which_nothing_fits_is_refused() -> None:
    with pytest.raises(UserError, match="not one update"):
        measured(settings(), only(minutes=0.001), Stated())


def test_the_real_stopwatch_measures_and_leaves_chance_and_folder_as_they_were(tmp_path: Path) -> None:
    network: Any = residua.create(tiny.settings().spec)
    watch = Stopwatch(tiny.digits(), tmp_path, lambda _: network, time.monotonic() - 5)
    assert (watch.held_out(), watch.epoch_steps(tiny.settings())) == (24, 4) and watch.elapsed() >= 5
    before = torch.get_rng_state()
    found, said = measured(tiny.settings(), Unsettled(minutes=1, batch=True), watch)
    assert found.steps > 1
    assert Settings.from_dict(found.to_dict()) == found
    assert "Not compiled" in "".join(said)
    assert torch.equal(torch.get_rng_state(), before)
    assert list(tmp_path.iterdir()) == []


def test_the_optimizer_is_not_reckoned_for_each_picture(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Eight pictures are timed for a batch of 64, whose one step of the optimizer takes half a second."""
    monkeypatch.setattr(stopwatch, "PIXELS", 8 * 8**2)
    step = Descent.step

    def slowly(self: Descent) -> None:
        time.sleep(0.5)
        step(self)

    monkeypatch.setattr(Descent, "step", slowly)
    watch = Stopwatch(tiny.digits(), tmp_path, lambda each: residua.create(each.spec))
    assert 0.5 < watch.update(tiny.settings(batch=64)).each < 2


def test_a_compiler_that_fails_is_an_error_of_its_own(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def compile_nothing(*_: Any, **__: Any) -> Any:
        raise RuntimeError("no compiler\nand much more")

    monkeypatch.setattr(torch, "compile", compile_nothing)
    watch = Stopwatch(tiny.digits(), tmp_path, lambda each: residua.create(each.spec))
    with pytest.raises(CompileError, match=r"compiled here \(no compiler\): choose"):
        watch.update(replace(tiny.settings(), compiled=True))


def test_packed_pictures_have_the_places_of_the_original_ones(tmp_path: Path) -> None:
    data, chosen = tiny.digits(), replace(tiny.settings(), packed=8)
    said: list[str] = []
    places = data.places("train")[::2]
    stored = packed(tmp_path, data, places, chosen, said.append)
    for place in places.tolist():
        np.testing.assert_array_equal(stored.read(place, "gray"), data.read(place, "gray"))
    with pytest.raises(IndexError):
        stored.read(int(places[0]) + 1, "gray")
    assert stored.names == data.names
    again = packed(tmp_path, data, places, chosen, said.append)
    assert len(said) == 1
    np.testing.assert_array_equal(again.read(0, "gray"), data.read(0, "gray"))


def test_packed_pictures_that_are_gone_damaged_or_others_are_written_again_the_same(tmp_path: Path) -> None:
    data, chosen = tiny.digits(), replace(tiny.settings(), packed=8)
    said: list[str] = []
    path, places = tmp_path / "training.packed", data.places("train")
    packed(tmp_path, data, places, chosen, said.append)
    first = path.read_bytes()
    path.write_bytes(first[:-1])
    packed(tmp_path, data, places, chosen, said.append)
    assert path.read_bytes() == first
    path.unlink()
    packed(tmp_path, data, places[1:], chosen, said.append)
    packed(tmp_path, data, places, chosen, said.append)
    assert path.read_bytes() == first
    assert len(said) == 4


@pytest.mark.parametrize(("minutes", "freeze"), [(0.2, 0), (30, 1)])
def test_a_short_time_freezes_nothing(minutes: float, freeze: int) -> None:
    base = settings()
    base = replace(base, recipe=base.recipe.edit(freeze=1))
    found, _ = measured(base, only(minutes=minutes), Stated())
    assert found.recipe.freeze == freeze
    asked, _ = measured(base, only(minutes=minutes, named=frozenset({"freeze"})), Stated())
    assert asked.recipe.freeze == 1
