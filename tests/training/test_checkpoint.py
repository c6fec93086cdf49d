"""Checkpoints hold every bit, show every damage, and the one before is always there."""

import os
import random
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import safetensors.torch
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors import safe_open
from torch import Tensor

import residua
from residua import UserError
from residua.training.keeping.checkpoint import expect, newest, read, save
from residua.weights.tensorfile import write

State = dict[str, Tensor]


def state(step: int) -> State:
    """Tensors of every kind that a training has; the step decides their values."""
    draw = torch.Generator().manual_seed(step)
    weight = torch.randn(4, 3, 3, 3, generator=draw)
    return {
        "network.weight": weight.to(memory_format=torch.channels_last),
        "network.tied": weight,
        "network.part": weight[1],
        "network.half": weight.bfloat16(),
        "network.parameter": torch.nn.Parameter(weight + 1),
        "network.batches": torch.tensor(step),
        "optimizer.empty": torch.empty(0),
        "optimizer.mask": weight[0, 0] > 0,
    }


def same(found: State, step: int) -> bool:
    wanted = state(step)
    expect(Path("it"), found, wanted)
    return all(torch.equal(found[name], wanted[name]) for name in wanted)


def saved(folder: Path, *steps: int) -> list[Path]:
    return [save(folder, step, state(step), {"step": step}) for step in steps]


def damage(path: Path, content: bytes | bytearray) -> None:
    """Write without the library: no lock, no temporary file, no checksum."""
    path.write_bytes(content)


def test_all_that_is_saved_comes_back_to_the_bit(tmp_path: Path) -> None:
    facts = {"best": 0.1 + 0.2, "scores": [1e-300, float("inf")], "none": None, "words": "ü\n"}
    save(tmp_path, 7, state(7), facts)
    found = newest(tmp_path)
    assert found is not None and (found.step, found.facts, found.damaged) == (7, facts, ())
    assert same(read(found.path), 7)
    before = found.path.read_bytes()
    assert save(tmp_path, 7, read(found.path), facts).read_bytes() == before


def test_other_libraries_would_write_the_same_file(tmp_path: Path) -> None:
    (path,) = saved(tmp_path, 1)
    with safe_open(path, framework="pt") as file:
        stated = file.metadata()
    assert safetensors.torch.save(read(path), stated) == path.read_bytes()


def test_no_checkpoint_is_none(tmp_path: Path) -> None:
    (tmp_path / "notes.safetensors").touch()
    assert newest(tmp_path) is None


def test_the_newest_two_are_kept_by_their_steps_alone(tmp_path: Path) -> None:
    first, *_ = saved(tmp_path, 9, 10, 100)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["10.safetensors", "100.safetensors"]
    assert not first.exists()
    os.utime(tmp_path / "100.safetensors", (0, 0))  # the clock was wrong
    found = newest(tmp_path)
    assert found is not None and found.step == 100


def test_what_is_not_ours_stays(tmp_path: Path) -> None:
    others = ["best.safetensors", "007.safetensors", "12.json", "-3.safetensors"]
    for name in others:
        (tmp_path / name).touch()
    saved(tmp_path, 1, 2, 3)
    assert {path.name for path in tmp_path.iterdir()} == {*others, "2.safetensors", "3.safetensors"}


def test_a_training_that_went_back_keeps_what_it_went_back_to(tmp_path: Path) -> None:
    _, second = saved(tmp_path, 10, 20)
    damage(second, b"")
    saved(tmp_path, 15)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["10.safetensors", "15.safetensors"]


def test_if_none_is_whole_nothing_begins_anew(tmp_path: Path) -> None:
    for path in saved(tmp_path, 1, 2):
        damage(path, path.read_bytes()[:-1])
    with pytest.raises(
        UserError, match=r"no checkpoint in .* is whole, so begin a new run: .*2\.safetensors is"
    ):
        newest(tmp_path)


def test_a_file_of_another_kind_or_step_is_passed_over(tmp_path: Path) -> None:
    old, new = saved(tmp_path, 1, 2)
    damage(tmp_path / "5.safetensors", new.read_bytes())
    residua.save(residua.create("tiny_resnet"), tmp_path / "6.safetensors")
    (tmp_path / "7.safetensors").mkdir()
    found = newest(tmp_path)
    assert found is not None and found.step == 2
    assert [Path(reason.split()[0]).name for reason in found.damaged] == [
        f"{step}.safetensors" for step in (7, 6, 5)
    ]
    assert old.exists()


@pytest.mark.parametrize(
    "said",
    ["[" * 100_000, "{", '{"checkpoint": 1, "step": 3}', '{"checkpoint": 1, "step": 3, "facts": 5}', "5"],
)
def test_a_checkpoint_that_says_something_else_is_passed_over(said: str, tmp_path: Path) -> None:
    saved(tmp_path, 2)
    write(tmp_path / "3.safetensors", state(3), said)
    found = newest(tmp_path)
    assert found is not None and found.step == 2 and "3.safetensors is damaged" in found.damaged[0]


def test_another_network_is_named_by_a_tensor(tmp_path: Path) -> None:
    (path,) = saved(tmp_path, 1)
    found, wanted = read(path), state(1)
    for change, message in (
        ({"network.more": torch.zeros(1)}, "lacks tensor 'network.more'"),
        ({"network.half": torch.zeros(2)}, r"has 'network.half' as .*4, 3, 3, 3.*ask for .*2"),
        ({"network.batches": torch.tensor(1.0)}, "has 'network.batches' as .*int64.*ask for .*float32"),
    ):
        with pytest.raises(UserError, match=message):
            expect(path, found, wanted | change)
    with pytest.raises(UserError, match=r"has an unknown tensor 'network.batches' \(8 in all\)"):
        expect(path, found, {})


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, bytes]:
    """A folder with the checkpoints of two steps, and the content of the newer."""
    folder = tmp_path_factory.mktemp("pair")
    _, new = saved(folder, 1, 2)
    return new, new.read_bytes()


def falls_back(path: Path) -> bool:
    found = newest(path.parent)
    assert found is not None
    return found.step == 1 and len(found.damaged) == 1 and str(path) in found.damaged[0]


def test_every_truncation_is_seen(pair: tuple[Path, bytes]) -> None:
    path, content = pair
    draw = random.Random(0)  # noqa: S311 - no secret
    ends = {0, 1, 7, 8, 9, len(content) - 1, *draw.sample(range(len(content)), 100)}
    for end in ends:
        damage(path, content[:end])
        assert falls_back(path), end


def test_every_flipped_bit_is_seen(pair: tuple[Path, bytes]) -> None:
    path, content = pair
    draw = random.Random(0)  # noqa: S311 - no secret
    for bit in draw.sample(range(len(content) * 8), 1000):
        flipped = bytearray(content)
        flipped[bit // 8] ^= 1 << bit % 8
        damage(path, flipped)
        assert falls_back(path), bit


@given(content=st.binary(max_size=300), kept=st.integers(0, 400))
def test_any_other_content_is_passed_over(pair: tuple[Path, bytes], content: bytes, kept: int) -> None:
    path, whole = pair
    damage(path, whole[:kept] + content)
    assert falls_back(path)


def test_a_damage_behind_the_check_is_seen_too(pair: tuple[Path, bytes]) -> None:
    path, content = pair
    damage(path, content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(UserError, match="is damaged"):
        read(path)


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """A full disk, to this process: Python ignores the signal, so that the write fails."""
    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, old[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)


def test_a_full_disk_leaves_the_last_one_and_nothing_else(tmp_path: Path) -> None:
    (old,) = saved(tmp_path, 1)
    for size in (0, 1, 100, old.stat().st_size - 1):
        with files_of_at_most(size), pytest.raises(UserError, match=r"2\.safetensors cannot be written"):
            saved(tmp_path, 2)
        assert list(tmp_path.iterdir()) == [old]
    found = newest(tmp_path)
    assert found is not None and same(read(found.path), 1)


def test_a_folder_that_is_gone_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"3\.safetensors cannot be written: No such file"):
        save(tmp_path / "gone", 3, {}, {})
