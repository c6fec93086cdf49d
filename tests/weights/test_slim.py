"""TF-Slim's weights: its names and its arithmetic written down apart from ours, and files that mean harm."""

import io
import math
import sys
import tracemalloc
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from residua import UserError, create
from residua.nets.plan import plan
from residua.nets.zoo import spec
from residua.weights.convert import Converted, read
from residua.weights.layouts.slim import Slim
from residua.weights.metadata import Metadata
from residua.weights.sources import read_source
from residua.weights.tensorflow import read_npz, write_npz

UNITS = {50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3), 200: (3, 24, 36, 3)}
STATISTICS = ("moving_mean", "moving_variance")
MEMBERS = [(version, depth) for version in (1, 2) for depth in UNITS]

Shapes = dict[str, tuple[int, ...]]
Variables = dict[str, Tensor]


def slim_shapes(version: int, depth: int, classes: int) -> Shapes:
    """Every variable of TF-Slim's network, as its checkpoints name and shape it."""
    scope = f"resnet_v{version}_{depth}"
    shapes = convolution(f"{scope}/conv1", 7, 3, 64, normed=version == 1)
    channels = 64
    for block, count in enumerate(UNITS[depth], 1):
        inner, outer = 64 * 2 ** (block - 1), 256 * 2 ** (block - 1)
        for index in range(1, count + 1):
            unit = f"{scope}/block{block}/unit_{index}/bottleneck_v{version}"
            if version == 2:
                shapes |= norm(f"{unit}/preact", channels)
            if channels != outer:
                shapes |= convolution(f"{unit}/shortcut", 1, channels, outer, normed=version == 1)
            shapes |= convolution(f"{unit}/conv1", 1, channels, inner, normed=True)
            shapes |= convolution(f"{unit}/conv2", 3, inner, inner, normed=True)
            shapes |= convolution(f"{unit}/conv3", 1, inner, outer, normed=version == 1)
            channels = outer
    if version == 2:
        shapes |= norm(f"{scope}/postnorm", channels)
    return shapes | convolution(f"{scope}/logits", 1, channels, classes, normed=False)


def convolution(name: str, kernel: int, into: int, out: int, normed: bool) -> Shapes:
    rest: Shapes = norm(f"{name}/BatchNorm", out) if normed else {f"{name}/biases": (out,)}
    return {f"{name}/weights": (kernel, kernel, into, out)} | rest


def norm(name: str, channels: int) -> Shapes:
    return {f"{name}/{part}": (channels,) for part in ("gamma", "beta", *STATISTICS)}


def random_variables(version: int, depth: int, classes: int) -> Variables:
    """Values that make every part count: random statistics, gains around 1, biases that are not 0."""
    torch.manual_seed(version)
    made = {}
    for name, shape in slim_shapes(version, depth, classes).items():
        if name.endswith("weights"):
            made[name] = torch.randn(shape) * (2 / math.prod(shape[:3])) ** 0.5
        elif name.endswith(("gamma", "moving_variance")):
            made[name] = torch.rand(shape) + 0.5
        else:
            made[name] = torch.randn(shape) * 0.2
    return made


class Arithmetic:
    """TF-Slim's forward pass on its own variables, written from the description of TF-Slim alone."""

    def __init__(self, variables: Variables, version: int, output_stride: int | None = None) -> None:
        self.variables, self.version, self.output_stride = variables, version, output_stride
        self.scope = next(iter(variables)).partition("/")[0]

    def logits(self, x: Tensor) -> Tensor:
        x = self.convolved("conv1", x, 2)
        x = same_pool(x if self.version == 2 else self.normed("conv1/BatchNorm", x).relu())
        stride, rate = 4, 1
        for unit, unit_stride in self.units():
            if stride == self.output_stride:
                x = self.unit(unit, x, 1, rate)
                rate *= unit_stride
            else:
                x = self.unit(unit, x, unit_stride, 1)
                stride *= unit_stride
        if self.version == 2:
            x = self.normed("postnorm", x).relu()
        return self.convolved("logits", x.mean((2, 3), keepdim=True))[:, :, 0, 0]

    def units(self) -> Iterator[tuple[str, int]]:
        """All units with their strides: the last of a block has it, and block 4 has none."""
        for block, count in enumerate(UNITS[int(self.scope.rpartition("_")[2])], 1):
            for index in range(1, count + 1):
                stride = 2 if index == count and block < 4 else 1
                yield f"block{block}/unit_{index}/bottleneck_v{self.version}", stride

    def unit(self, name: str, x: Tensor, stride: int, rate: int) -> Tensor:
        active = self.normed(f"{name}/preact", x).relu() if self.version == 2 else x
        if f"{self.scope}/{name}/shortcut/weights" in self.variables:
            shortcut = self.convolved(f"{name}/shortcut", active, stride)
            if self.version == 1:
                shortcut = self.normed(f"{name}/shortcut/BatchNorm", shortcut)
        else:
            shortcut = F.max_pool2d(x, 1, stride)
        y = self.normed(f"{name}/conv1/BatchNorm", self.convolved(f"{name}/conv1", active)).relu()
        y = self.normed(f"{name}/conv2/BatchNorm", self.convolved(f"{name}/conv2", y, stride, rate)).relu()
        y = self.convolved(f"{name}/conv3", y)
        return (
            shortcut + y
            if self.version == 2
            else (shortcut + self.normed(f"{name}/conv3/BatchNorm", y)).relu()
        )

    def convolved(self, name: str, x: Tensor, stride: int = 1, rate: int = 1) -> Tensor:
        """`conv2d_same`: padded by hand, as much before as behind."""
        weight = self.variables[f"{self.scope}/{name}/weights"].permute(3, 2, 0, 1)
        border = rate * (weight.shape[2] - 1) // 2
        bias = self.variables.get(f"{self.scope}/{name}/biases")
        return F.conv2d(F.pad(x, (border,) * 4), weight, bias, stride, dilation=rate)

    def normed(self, name: str, x: Tensor) -> Tensor:
        mean, variance, gamma, beta = (
            self.variables[f"{self.scope}/{name}/{part}"] for part in (*STATISTICS, "gamma", "beta")
        )
        return F.batch_norm(x, mean, variance, gamma, beta, eps=1e-5)


def same_pool(x: Tensor) -> Tensor:
    """TensorFlow's 3x3 max pool of stride 2 with "SAME": the odd row of padding comes behind."""
    side = x.shape[2]
    total = max((math.ceil(side / 2) - 1) * 2 + 3 - side, 0)
    before, behind = total // 2, total - total // 2
    return F.max_pool2d(F.pad(x, (before, behind) * 2, value=-math.inf), 3, 2)


@pytest.fixture(scope="module", params=[1, 2], ids=["v1", "v2"])
def slim50(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[int, Variables, Path]:
    """A ResNet-50 of each version: its variables, and the file that NumPy writes of them."""
    version: int = request.param
    variables = random_variables(version, 50, 1001)
    path = tmp_path_factory.mktemp("slim") / f"v{version}.npz"
    save(path, variables)
    return version, variables, path


@pytest.fixture(scope="module")
def converted(slim50: tuple[int, Variables, Path]) -> Converted:
    return read(slim50[2])


def save(path: Path, arrays: dict[str, Tensor]) -> Path:
    np.savez(path, allow_pickle=False, **{name: tensor.numpy() for name, tensor in arrays.items()})
    return path


# Learned numbers of v1 as the papers' table has them; of v2 with its statistics, as Keras counts its twins.
COUNTS = {
    (1, 50): 25_557_032,
    (1, 101): 44_549_160,
    (1, 152): 60_192_808,
    (2, 50): 25_613_800,
    (2, 101): 44_675_560,
    (2, 152): 60_380_648,
}


@pytest.mark.parametrize(("version", "depth"), MEMBERS)
def test_names_and_shapes_are_slims(version: int, depth: int) -> None:
    shapes = slim_shapes(version, depth, 1000)
    network = spec(f"slim_resnet_v{version}_{depth}", num_classes=1000)
    assert {row.theirs: row.their_shape for row in Slim().rows(plan(network))} == shapes
    counted = (math.prod(s) for name, s in shapes.items() if version == 2 or not name.endswith(STATISTICS))
    assert COUNTS.get((version, depth), total := sum(counted)) == total


@pytest.mark.parametrize("classes", [1000, 1001, 5])
@pytest.mark.parametrize(("version", "depth"), MEMBERS)
def test_the_scope_and_the_logits_say_which_network_it_is(version: int, depth: int, classes: int) -> None:
    shapes = slim_shapes(version, depth, classes)
    variables = {name: torch.empty(shape, device="meta") for name, shape in shapes.items()}
    (found,) = Slim().candidates(variables)
    assert found == spec(f"slim_resnet_v{version}_{depth}", num_classes=classes)
    assert Slim().compare(found, variables).problems == 0


@pytest.mark.parametrize(("version", "depth"), MEMBERS)
def test_every_number_comes_back_in_its_place(version: int, depth: int) -> None:
    variables, start = {}, 0
    for name, shape in slim_shapes(version, depth, 7).items():
        end = start + math.prod(shape)
        variables[name], start = torch.arange(start, end, dtype=torch.int32).reshape(shape), end
    network = spec(f"slim_resnet_v{version}_{depth}", num_classes=7)
    state = Slim().read(network, variables)
    counts = {name: torch.tensor(0) for name in (f"{n}.num_batches_tracked" for n, _ in plan(network).layers)}
    written = Slim().write(network, counts | state)
    assert written.keys() == variables.keys()
    assert all(torch.equal(written[name], variables[name]) for name in variables)


@pytest.mark.parametrize(
    ("side", "output_stride"),
    [(64, None), (65, None), (224, None), (225, None), (64, 8), (65, 8), (64, 16), (65, 16)],
)
def test_logits_are_slims(
    slim50: tuple[int, Variables, Path], converted: Converted, side: int, output_stride: int | None
) -> None:
    version, variables, _ = slim50
    assert converted.spec == spec(f"slim_resnet_v{version}_50", num_classes=1001)
    network = create(converted.spec, output_stride=output_stride).eval()
    network.load_state_dict(converted.state)
    x = torch.randn(1, 3, side, side)
    with torch.inference_mode():
        wanted = Arithmetic(variables, version, output_stride).logits(x)
        difference = (network(x) - wanted).abs().max() / wanted.abs().max()
    assert difference < 1e-5


def test_a_file_comes_back_bit_for_bit(
    slim50: tuple[int, Variables, Path], converted: Converted, tmp_path: Path
) -> None:
    _, variables, original = slim50
    tensors = Slim().write(converted.spec, converted.state)
    paths = [tmp_path / "one.npz", tmp_path / "two.npz"]
    for path in paths:
        Slim().store(path, tensors, Metadata(spec=converted.spec))
    assert paths[0].read_bytes() == paths[1].read_bytes()
    assert sorted(tmp_path.iterdir()) == paths
    with np.load(paths[0], allow_pickle=False) as theirs:
        assert sorted(theirs) == sorted(variables)
        for name, tensor in variables.items():
            assert theirs[name].tobytes() == tensor.numpy().tobytes()
    ours = read_npz(original)
    assert all(torch.equal(ours[name], tensor) for name, tensor in variables.items())


def test_slim_weights_are_written_as_npz_alone(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"weights for TF-Slim are written as \.npz\.$"):
        Slim().store(tmp_path / "model.ckpt", {}, Metadata(spec=spec("slim_resnet_v1_50")))


def test_types_that_numpy_lacks_or_turns_round(tmp_path: Path) -> None:
    path = tmp_path / "types.npz"
    write_npz(path, {"file": torch.tensor([1.5, -2.0], dtype=torch.bfloat16), "scalar": torch.tensor(3)})
    assert torch.equal(read_npz(path)["file"], torch.tensor([1.5, -2.0]))
    assert read_npz(path)["scalar"].item() == 3
    np.savez(path, big=np.arange(6, dtype=">f4").reshape(2, 3, order="F"), empty=np.empty((0, 4)))
    found = read_npz(path)
    assert torch.equal(found["big"], torch.tensor([[0.0, 2, 4], [1, 3, 5]]))
    assert found["empty"].shape == (0, 4)


# Background.


def test_dropping_the_background_leaves_the_other_classes_as_they_are(
    slim50: tuple[int, Variables, Path], converted: Converted
) -> None:
    dropped = read(slim50[2], drop_background=True)
    assert dropped.spec == converted.spec.edit(num_classes=1000)
    assert dropped.steps == ("dropped the background class",)
    x = torch.randn(1, 3, 33, 33)
    whole, rest = (create(each.spec).eval() for each in (converted, dropped))
    whole.load_state_dict(converted.state)
    rest.load_state_dict(dropped.state)
    with torch.inference_mode():
        torch.testing.assert_close(rest(x), whole(x)[:, 1:])


@pytest.mark.parametrize(
    ("kept", "sentence"), [(0, "the file has no classifier"), (1, "the classifier has 1 class")]
)
def test_no_background_to_drop(
    slim50: tuple[int, Variables, Path], tmp_path: Path, kept: int, sentence: str
) -> None:
    variables = {name: value for name, value in slim50[1].items() if kept or "/logits/" not in name}
    for name in variables:
        if "/logits/" in name:
            variables[name] = variables[name][..., :kept]
    write_npz(tmp_path / "model.npz", variables)
    with pytest.raises(UserError, match=rf"^there is no background class to drop: {sentence}\.$"):
        read(tmp_path / "model.npz", num_classes=3, drop_background=True)


def test_no_other_librarys_first_class_is_a_background(tmp_path: Path) -> None:
    torch.save(create("tiny_resnet").state_dict(), tmp_path / "model.pth")
    with pytest.raises(UserError, match="--drop-background is for TF-Slim's networks"):
        read(tmp_path / "model.pth", model="tiny_resnet", drop_background=True)


# What a training leaves in its checkpoints.


def test_variables_of_the_training_are_passed_over_and_said(
    slim50: tuple[int, Variables, Path], converted: Converted, tmp_path: Path
) -> None:
    version, variables, _ = slim50
    slots = {f"{name}/Momentum": tensor for name, tensor in variables.items() if name.endswith("/gamma")}
    rest = {"global_step": torch.tensor(7), f"resnet_v{version}_50/mean_rgb": torch.zeros(3)}
    found = read(save(tmp_path / "training.npz", variables | slots | rest))
    (step,) = found.steps
    assert (
        step == f"passed over what a training keeps: Momentum ({len(slots)}), global_step (1), mean_rgb (1)"
    )
    assert all(torch.equal(found.state[name], tensor) for name, tensor in converted.state.items())


@pytest.mark.parametrize("ema", [False, True])
def test_moving_averages_take_the_variables_place_if_asked_for(tmp_path: Path, ema: bool) -> None:
    averaged = {"a/weights": 1.0, "a/weights/ExponentialMovingAverage": 2.0, "a/weights/Adam": 3.0, "b": 4.0}
    path = save(tmp_path / "averaged.npz", {name: torch.tensor(value) for name, value in averaged.items()})
    source = read_source(path, ema)
    assert {name: tensor.item() for name, tensor in source.tensors.items()} == {
        "a/weights": 2.0 if ema else 1.0,
        "b": 4.0,
    }
    passed = "passed over what a training keeps: Adam (1), ExponentialMovingAverage (1)"
    taken = ("took the variables' moving averages (1)", "passed over what a training keeps: Adam (1)")
    assert source.notes == (taken if ema else (passed,))


# Checkpoints: TensorFlow reads them, in its place a stand-in.


class Reader:
    """What TensorFlow gives for a checkpoint."""

    def __init__(self, values: dict[str, Any], shapes: dict[str, list[int]] | None = None) -> None:
        self.values = values
        self.shapes = shapes or {name: list(np.shape(value)) for name, value in values.items()}

    def get_variable_to_shape_map(self) -> dict[str, list[int]]:
        return self.shapes

    def get_variable_to_dtype_map(self) -> dict[str, Any]:
        return {name: SimpleNamespace(size=4) for name in self.shapes}

    def get_tensor(self, name: str) -> Any:
        return self.values[name]


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    for ending in ("index", "data-00000-of-00001"):
        (tmp_path / f"model.ckpt-7.{ending}").write_bytes(bytes(16))
    (tmp_path / "old.ckpt").write_bytes(bytes(16))
    return tmp_path


def stand_in(monkeypatch: pytest.MonkeyPatch, reader: Reader, asked: list[str]) -> None:
    def load_checkpoint(prefix: str) -> Reader:
        asked.append(Path(prefix).name)
        return reader

    train = SimpleNamespace(load_checkpoint=load_checkpoint)
    monkeypatch.setitem(sys.modules, "tensorflow", SimpleNamespace(train=train))


@pytest.mark.parametrize(
    ("given", "prefix"),
    [("model.ckpt-7", "model.ckpt-7"), ("model.ckpt-7.index", "model.ckpt-7"), ("old.ckpt", "old.ckpt")],
)
def test_a_checkpoint_has_three_names(
    checkpoint: Path, monkeypatch: pytest.MonkeyPatch, given: str, prefix: str
) -> None:
    asked: list[str] = []
    values = {"a/weights": np.ones((2, 2), np.float32), "global_step": 5, "graph": b"text"}
    stand_in(monkeypatch, Reader(values), asked)
    source = read_source(checkpoint / given)
    assert asked == [prefix]
    assert source.tensors.keys() == {"a/weights"}
    assert source.notes == (
        "passed over 'graph', which are no tensors",
        "passed over what a training keeps: global_step (1)",
    )


def test_a_checkpoint_that_claims_more_than_it_holds(
    checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in(monkeypatch, Reader({}, {"a": [1 << 40]}), [])
    with pytest.raises(UserError, match=r"claims 4,398,046,511,104 bytes of variables and holds 16\.$"):
        read_source(checkpoint / "model.ckpt-7")


def test_without_tensorflow_the_error_says_how_to_get_it(
    checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    with pytest.raises(UserError, match=r'`pip install "residua\[tensorflow\]"` first\.$'):
        read_source(checkpoint / "model.ckpt-7")


def test_half_a_checkpoint_and_none(checkpoint: Path) -> None:
    (checkpoint / "model.ckpt-7.data-00000-of-00001").unlink()
    with pytest.raises(UserError, match=r"model\.ckpt-7\.data-00000-of-00001 is not beside it\.$"):
        read_source(checkpoint / "model.ckpt-7")
    with pytest.raises(UserError, match=r"model\.ckpt does not exist\.$"):
        read_source(checkpoint / "model.ckpt")


# Files that mean harm.


def archive(path: Path, entries: list[tuple[str, bytes]], compression: int = zipfile.ZIP_DEFLATED) -> None:
    with zipfile.ZipFile(path, "w", compression) as file:
        for name, content in entries:
            file.writestr(name, content)


def member(array: Any) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def claiming(shape: tuple[int, ...], kind: str = "<f4") -> bytes:
    """A header that claims a shape, and 16 bytes."""
    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(buffer, {"shape": shape, "fortran_order": False, "descr": kind})
    return buffer.getvalue() + bytes(16)


def bomb(path: Path) -> None:
    archive(path, [("a.npy", member(np.zeros(1 << 24, np.float32)))])


def truncated(path: Path) -> None:
    archive(path, [("a.npy", member(np.random.default_rng(0).random(4000)))])
    path.write_bytes(path.read_bytes()[:9000])


def damaged(path: Path) -> None:
    archive(path, [("a.npy", member(np.zeros(100)))], zipfile.ZIP_STORED)
    content = bytearray(path.read_bytes())
    content[500] ^= 1
    path.write_bytes(content)


def doubled(path: Path) -> None:
    archive(path, [("a.npy", member(np.zeros(4))), ("b.npy", member(np.zeros(4)))])
    path.write_bytes(path.read_bytes().replace(b"b.npy", b"a.npy"))


HARM: dict[str, tuple[Callable[[Path], object], str]] = {
    "not a zip": (lambda p: p.write_bytes(b"PK? No."), "no archive of NumPy arrays"),
    "empty": (lambda p: p.write_bytes(b""), "no archive of NumPy arrays"),
    "truncated": (truncated, "no archive of NumPy arrays, or a damaged one"),
    "damaged": (damaged, "no archive of NumPy arrays, or a damaged one"),
    "bomb": (bomb, "more than any weights do"),
    "terabyte": (lambda p: archive(p, [("a.npy", claiming((1 << 38,)))]), "claims the shape"),
    "huge type": (lambda p: archive(p, [("a.npy", claiming((1,), "|V2000000000"))]), "which no weights are"),
    "negative": (lambda p: archive(p, [("a.npy", claiming((-2, -2)))]), "claims the shape"),
    "short": (lambda p: archive(p, [("a.npy", claiming((3,)))]), "claims the shape"),
    "objects": (
        lambda p: archive(p, [("a.npy", member(np.array([{}])))]),
        "of type object, which no weights",
    ),
    "text": (lambda p: archive(p, [("a.npy", member(np.array(["x"])))]), "which no weights are"),
    "no header": (lambda p: archive(p, [("a.npy", b"\x93NUMPY\x01\x00\xff\xff{")]), "NumPy cannot read it"),
    "nested": (
        lambda p: archive(p, [("a.npy", b"\x93NUMPY\x01\x00\x00\x20" + b"(" * 8192)], zipfile.ZIP_STORED),
        "NumPy cannot read it",
    ),
    "version": (lambda p: archive(p, [("a.npy", b"\x93NUMPY\x09\x00")]), "NumPy cannot read it"),
    "no array": (lambda p: archive(p, [("../a.txt", b"x")]), "none that NumPy writes"),
    "lzma": (lambda p: archive(p, [("a.npy", b"x")], zipfile.ZIP_LZMA), "none that NumPy writes"),
    "doubled": (doubled, "none that NumPy writes"),
    "nothing": (lambda p: archive(p, []), "holds no weights"),
}


@pytest.mark.parametrize("harm", HARM)
def test_harm_is_refused_in_a_sentence_without_taking_memory(tmp_path: Path, harm: str) -> None:
    make, sentence = HARM[harm]
    path = tmp_path / "harm.npz"
    make(path)
    tracemalloc.start()
    try:
        with pytest.raises(UserError, match=sentence) as caught:
            read(path)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert str(caught.value).endswith(".")
    assert ". " not in str(caught.value)
    assert peak < 4_000_000


def test_wrong_shapes_are_named(slim50: tuple[int, Variables, Path], tmp_path: Path) -> None:
    version, variables, _ = slim50
    name = f"resnet_v{version}_50/block2/unit_1/bottleneck_v{version}/shortcut/weights"
    wrong = variables | {name: variables[name].permute(3, 2, 0, 1).contiguous()}
    with pytest.raises(
        UserError, match=rf"of another shape {name} \(512, 256, 1, 1\) instead of \(1, 1, 256, 512\)"
    ):
        read(save(tmp_path / "wrong.npz", wrong))
