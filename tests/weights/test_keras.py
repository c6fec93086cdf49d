"""Keras' files: read to the same function, written back, and refused where they mean harm."""

from __future__ import annotations

import io
import sys
import tempfile
import tracemalloc
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
import pytest
import torch
from torch import Tensor, nn

from residua import UserError, create
from residua.nets.network import Network
from residua.nets.plan import plan
from residua.nets.spec import Spec
from residua.nets.zoo import spec
from residua.weights import hdf5
from residua.weights.convert import Converted, read
from residua.weights.layouts.keras import Keras, KerasCounted
from residua.weights.metadata import Metadata

# Keras on PyTorch asks NumPy for arrays in the old way.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept:DeprecationWarning")

APPLICATIONS = {
    "keras_resnet50": "ResNet50",
    "keras_resnet101": "ResNet101",
    "keras_resnet152": "ResNet152",
    "keras_resnet50v2": "ResNet50V2",
    "keras_resnet101v2": "ResNet101V2",
    "keras_resnet152v2": "ResNet152V2",
}
SHALLOW = ["keras_resnet50", "keras_resnet50v2"]
ENDINGS = [".keras", ".h5", ".weights.h5"]
CLASSES = 7
RELATIVE = 1e-5


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """Return a folder that does not outlive the tests, for it grows large."""
    with tempfile.TemporaryDirectory() as path:
        yield Path(path)


def application(name: str, top: bool = True) -> Any:
    """Return a network of theirs that ends in logits, or in one pixel for each feature."""
    build = getattr(keras.applications, APPLICATIONS[name])
    ends = {"classes": CLASSES, "classifier_activation": None} if top else {"pooling": "avg"}
    shape = {"input_shape": (224, 224, 3)} if top else {"input_shape": (None, None, 3)}
    return build(weights=None, include_top=top, **shape, **ends)


@torch.no_grad()
def randomize(model: Any) -> Any:
    """Let every number be random and matter."""
    numbers = torch.Generator().manual_seed(0)
    for weight in model.weights:
        value, variable = weight.value.detach(), weight.path.rpartition("/")[2]
        if variable == "gamma":
            value.uniform_(0.5, 1.5, generator=numbers)
        elif variable == "moving_variance":
            value.uniform_(0.5, 2, generator=numbers)
        elif variable == "kernel":
            scale = 0.2 if "_3_conv" in weight.path else 1
            value.normal_(0, scale * (value[..., 0].numel()) ** -0.5, generator=numbers)
        else:
            value.normal_(generator=numbers)
    return model


def saved(model: Any, path: Path) -> Path:
    """Save by whichever of the library's own functions the ending asks for."""
    if path.name.endswith(".weights.h5"):
        model.save_weights(path)
    else:
        model.save(path)
    return path


def ours(found: Converted) -> Network:
    assert isinstance(found.spec, Spec)
    network = create(found.spec).eval()
    network.load_state_dict(found.state, strict=True)
    return network


@torch.no_grad()
def assert_same(network: nn.Module, model: Any, side: int) -> None:
    images = torch.randn(1, 3, side, side, generator=torch.Generator().manual_seed(side))
    mine, theirs = network(images), model(images.permute(0, 2, 3, 1), training=False)
    assert mine.shape == theirs.shape
    assert (mine - theirs).norm() <= RELATIVE * theirs.norm()


@pytest.fixture(scope="module", params=SHALLOW)
def shallow(request: pytest.FixtureRequest) -> tuple[str, Any]:
    """Return a network's name, and the network with its classifier."""
    return request.param, randomize(application(request.param))


@pytest.mark.parametrize("ending", ENDINGS)
def test_files_of_theirs_compute_the_same(shallow: Any, ending: str, folder: Path) -> None:
    name, model = shallow
    found = read(saved(model, folder / f"theirs{ending}"))
    assert found.layout == "keras"
    assert found.spec == spec(name, num_classes=CLASSES)
    assert_same(ours(found), model, 224)


@pytest.mark.parametrize("ending", ENDINGS)
def test_files_without_classifier_get_a_new_one(ending: str, folder: Path) -> None:
    name = "keras_resnet50v2" if ending == ".h5" else "keras_resnet50"
    model = randomize(application(name, top=False))
    path = saved(model, folder / f"headless{ending}")
    with pytest.raises(UserError, match=rf"is {name} without its classifier: --num-classes N"):
        read(path)
    network = ours(read(path, layout="keras", num_classes=3))
    assert network.get_submodule("fc").weight.shape == (3, 2048)
    network.set_submodule("fc", nn.Identity())
    for side in (225, 224):
        assert_same(network, model, side)


@pytest.mark.parametrize("ending", [".h5", ".weights.h5"])
def test_files_of_ours_compute_the_same(shallow: Any, ending: str, folder: Path) -> None:
    name, model = shallow
    network = create(name, num_classes=CLASSES).eval()
    network.load_state_dict(read(saved(model, folder / "theirs.weights.h5"), layout="keras").state)
    written(network, folder / f"ours{ending}")
    again = application(name)
    again.load_weights(folder / f"ours{ending}")
    assert_same(network, again, 224)
    assert read(folder / f"ours{ending}", layout="keras").spec == network.spec


def written(network: Network, path: Path) -> None:
    layout = Keras()
    layout.store(path, layout.write(network.spec, network.state_dict()), Metadata(spec=network.spec))


@pytest.mark.parametrize("name", APPLICATIONS)
def test_names_shapes_and_order_of_all_tensors(name: str) -> None:
    with keras.device("meta"):
        model = application(name)
    theirs = [(weight.path, tuple(weight.shape)) for layer in model.layers for weight in layer.weights]
    rows = list(Keras().rows(plan(spec(name, num_classes=CLASSES))))
    assert [(row.theirs, row.their_shape) for row in rows] == theirs


def as_keras_2_named_it(file: h5py.File) -> None:
    """Change a file of the older format to one of Keras 2, which also took "probs" for a name at first."""
    weights = file["model_weights"]
    for layer in list(weights):
        for variable in list(weights[layer].get(layer, ())):
            weights.move(f"{layer}/{layer}/{variable}", f"{layer}/{layer}/{variable}:0")
    weights.move("predictions/predictions", "predictions/probs")
    weights.move("predictions", "probs")


def as_keras_2_counted_it(file: h5py.File) -> None:
    """Change a file of the newer format to one from before Keras 3.6."""
    for group in file["layers"].values():
        group["vars"].attrs.clear()


def as_keras_2_12_counted_it(file: h5py.File) -> None:
    as_keras_2_counted_it(file)
    file.move("layers", "_layer_checkpoint_dependencies")


@pytest.mark.parametrize(
    ("ending", "change", "layout"),
    [
        (".h5", as_keras_2_named_it, "keras"),
        (".weights.h5", as_keras_2_counted_it, "keras-counted"),
        (".weights.h5", as_keras_2_12_counted_it, "keras-counted"),
    ],
)
def test_files_of_keras_2(
    shallow: Any, ending: str, change: Callable[[h5py.File], None], layout: str, folder: Path
) -> None:
    _, model = shallow
    path = saved(model, folder / f"old{ending}")
    wanted = read(path, layout="keras")
    with h5py.File(path, "a") as file:
        change(file)
    found = read(path)
    assert (found.layout, found.spec) == (layout, wanted.spec)
    assert all(torch.equal(found.state[key], wanted.state[key]) for key in wanted.state)


def test_weights_of_keras_2_without_a_model_around_them(folder: Path) -> None:
    model = randomize(application("keras_resnet50"))
    path = saved(model, folder / "whole.h5")
    with h5py.File(path) as whole, h5py.File(folder / "weights.h5", "w") as weights:
        for layer in whole["model_weights"]:
            whole.copy(f"model_weights/{layer}", weights)
    found = read(folder / "weights.h5", layout="keras")
    assert found.spec == spec("keras_resnet50", num_classes=CLASSES)


def test_counted_names_are_written_too(folder: Path) -> None:
    network, layout = create("keras_resnet50", num_classes=2), KerasCounted()
    tensors = layout.write(network.spec, network.state_dict())
    assert list(tensors)[:3] == ["conv2d/kernel", "conv2d/bias", "batch_normalization/gamma"]
    layout.store(folder / "counted.weights.h5", tensors, Metadata(spec=network.spec))
    found = read(folder / "counted.weights.h5")
    assert (found.layout, found.spec) == ("keras-counted", network.spec)


def test_an_optimizer_s_state_is_passed_over(folder: Path) -> None:
    layers = [keras.layers.Input((4,)), keras.layers.Dense(3, name="one")]
    model = keras.Sequential(layers)
    model.compile("adam", "mse")
    model.fit(np.zeros((1, 4)), np.zeros((1, 3)), verbose=0)
    for ending in ENDINGS:
        found = hdf5.read(saved(model, folder / f"trained{ending}"))
        assert sorted(found) == ["one/bias", "one/kernel"]
        assert torch.equal(found["one/kernel"], model.layers[0].kernel.value)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64"])
def test_other_precisions(dtype: str, folder: Path) -> None:
    model = keras.Sequential([keras.layers.Input((4,)), keras.layers.Dense(3, name="one", dtype=dtype)])
    model.save_weights(folder / "precise.weights.h5")
    found = hdf5.read(folder / "precise.weights.h5")["one/kernel"]
    assert found.dtype == getattr(torch, dtype)
    assert torch.equal(found, model.layers[0].kernel.value)


def test_whole_models_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"^[^\n]*ending in \.weights\.h5[^\n]*\.$"):
        written(create("keras_resnet50"), tmp_path / "whole.keras")
    assert list(tmp_path.iterdir()) == []


def test_only_writing_needs_a_library_and_says_which(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    model = keras.Sequential([keras.layers.Input((4,)), keras.layers.Dense(3)])
    path = saved(model, folder / "some.h5")
    monkeypatch.setitem(sys.modules, "h5py", None)
    assert len(hdf5.read(path)) == 2
    with pytest.raises(UserError, match=r'pip install "residua\[keras\]"\.$'):
        hdf5.write(folder / "other.h5", {})


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_model_within_a_model_is_refused(ending: str, folder: Path) -> None:
    inner = keras.Sequential([keras.layers.Input((4,)), *(keras.layers.Dense(3, name=n) for n in "ab")])
    outer = keras.Sequential([keras.layers.Input((4,)), inner, keras.layers.Dense(2)])
    with pytest.raises(UserError, match=r"^[^\n]*is a model within the model: save that one[^\n]*\.$"):
        read(saved(outer, folder / f"nested{ending}"))


# Files that mean harm. Each fills a good file of one layer with something else.

ONES = np.ones((4, 3), dtype=np.float32)
PLACE = "layers/dense/vars"


def hostile(path: Path, change: Callable[[h5py.Group, Path], None]) -> Path:
    with h5py.File(path, "w") as file:
        group = file.create_group(PLACE)
        group.attrs["name"] = "dense"
        group["1"] = np.ones(3, dtype=np.float32)
        change(group, path)
    return path


def elsewhere(path: Path) -> Path:
    """Make another file with numbers that nobody may read through the first."""
    with h5py.File(path.with_name("secret.h5"), "w") as file:
        file["numbers"] = ONES
    path.with_name("secret.bin").write_bytes(ONES.tobytes())
    return path.with_name("secret")


def external_link(group: h5py.Group, path: Path) -> None:
    group["0"] = h5py.ExternalLink(f"{elsewhere(path)}.h5", "numbers")


def soft_link(group: h5py.Group, path: Path) -> None:
    group["0"] = h5py.SoftLink(f"/{PLACE}/1")


def link_in_front(group: h5py.Group, path: Path) -> None:
    group.file.move("layers", "kept")
    group.file["layers"] = h5py.ExternalLink("/dev/zero", "layers")


def circle(group: h5py.Group, path: Path) -> None:
    group["0"] = group.file["layers"]


def same_twice(group: h5py.Group, path: Path) -> None:
    group["0"] = group["1"]


def deep(group: h5py.Group, path: Path) -> None:
    group.create_group("/".join(["down"] * 100))["0"] = ONES


def external_storage(group: h5py.Group, path: Path) -> None:
    group.create_dataset("0", (4, 3), "f4", external=[(f"{elsewhere(path)}.bin", 0, ONES.nbytes)])


def virtual(group: h5py.Group, path: Path) -> None:
    layout = h5py.VirtualLayout((4, 3), "f4")
    layout[:] = h5py.VirtualSource(f"{elsewhere(path)}.h5", "numbers", (4, 3))
    group.create_virtual_dataset("0", layout)


def terabytes_in_chunks(group: h5py.Group, path: Path) -> None:
    group.create_dataset("0", (2**20, 2**20), "f4", chunks=(1024, 1024), compression="gzip")


def terabytes_never_written(group: h5py.Group, path: Path) -> None:
    group.create_dataset("0", (2**20, 2**20), "f4")


def few_never_written(group: h5py.Group, path: Path) -> None:
    group.create_dataset("0", (4, 3), "f4")


def compressed(group: h5py.Group, path: Path) -> None:
    group.create_dataset("0", data=np.zeros((5000, 5000), dtype=np.float32), compression="gzip")


def one_huge_chunk(group: h5py.Group, path: Path) -> None:
    group.create_dataset("0", (1,), "f4", maxshape=(None,), chunks=(2**29,))


def texts(group: h5py.Group, path: Path) -> None:
    group["0"] = ["text"]


def records(group: h5py.Group, path: Path) -> None:
    group["0"] = np.zeros(3, dtype=[("a", "f4"), ("b", "i4")])


def no_shape(group: h5py.Group, path: Path) -> None:
    group["0"] = h5py.Empty("f4")


def a_type(group: h5py.Group, path: Path) -> None:
    group["0"] = np.dtype("f4")


def long_name(group: h5py.Group, path: Path) -> None:
    group.attrs["name"] = np.bytes_("a" * 50_000)


def no_name(group: h5py.Group, path: Path) -> None:
    group.attrs["name"] = np.arange(3)


def two_of_a_name(group: h5py.Group, path: Path) -> None:
    group.file.copy("layers/dense", "layers/dense_1")


HARMS: list[Callable[[h5py.Group, Path], None]] = [
    external_link, soft_link, link_in_front, circle, same_twice, deep, external_storage, virtual,
    terabytes_in_chunks, terabytes_never_written, few_never_written, compressed, one_huge_chunk,
    texts, records, no_shape, a_type, long_name, no_name, two_of_a_name,
]  # fmt: skip


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("change", HARMS)
def test_harmful_files_are_refused(
    change: Callable[[h5py.Group, Path], None], packed: bool, tmp_path: Path
) -> None:
    path = hostile(tmp_path / "bad.weights.h5", change)
    if packed:
        path = archive(tmp_path / "bad.keras", path.read_bytes())
    assert_refused(path)


def assert_refused(path: Path) -> None:
    """One sentence, before memory is taken."""
    tracemalloc.start()
    try:
        with pytest.raises(UserError, match=r"bad[^\n]* is refused: [^\n]*\.$"):
            read(path)
        assert tracemalloc.get_traced_memory()[1] < 5_000_000
    finally:
        tracemalloc.stop()


def test_a_good_file_of_the_same_make_is_read(tmp_path: Path) -> None:
    def good(group: h5py.Group, path: Path) -> None:
        group["0"] = ONES.astype(">f4")

    found = hdf5.read(hostile(tmp_path / "good.weights.h5", good))
    assert torch.equal(found["dense/kernel"], torch.from_numpy(ONES))


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"\x89HDF\r\n\x1a\n", b"text" * 1000])
def test_files_of_something_else_are_refused(ending: str, content: bytes, tmp_path: Path) -> None:
    (tmp_path / f"bad{ending}").write_bytes(content)
    assert_refused(tmp_path / f"bad{ending}")


@pytest.mark.parametrize("settings", [{"libver": "latest"}, {"userblock_size": 512}])
def test_newer_forms_of_hdf5_are_refused(settings: dict[str, Any], tmp_path: Path) -> None:
    with h5py.File(tmp_path / "bad.h5", "w", **settings) as file:
        file["dense/dense/kernel"] = ONES
    assert_refused(tmp_path / "bad.h5")


def test_truncated_and_damaged_files_are_refused(tmp_path: Path) -> None:
    def good(group: h5py.Group, path: Path) -> None:
        group["0"] = ONES

    content = hostile(tmp_path / "good.weights.h5", good).read_bytes()
    wanted = hdf5.read(tmp_path / "good.weights.h5")
    path = tmp_path / "bad.weights.h5"
    for length in range(0, len(content), 97):
        path.write_bytes(content[:length])
        assert_refused(path)
    numbers = np.random.default_rng(0)
    for _ in range(1000):
        damaged = bytearray(content)
        for place in numbers.integers(len(content), size=3):
            damaged[place] = numbers.integers(256)
        path.write_bytes(damaged)
        assert_read_or_refused(path, wanted)


def assert_read_or_refused(path: Path, wanted: dict[str, Tensor]) -> None:
    try:
        found = hdf5.read(path)
    except UserError:
        return
    assert sum(tensor.numel() for tensor in found.values()) <= sum(t.numel() for t in wanted.values())


def archive(path: Path, *contents: bytes, name: str = hdf5.MEMBER, method: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", method) as file:
        for content in contents:
            file.writestr(name, content)
    return path


def test_archives_without_the_weights_are_refused(tmp_path: Path) -> None:
    assert_refused(archive(tmp_path / "bad.keras", b"x", name="../model.weights.h5"))


@pytest.mark.filterwarnings("ignore:Duplicate name:UserWarning")
def test_archives_with_two_weights_are_refused(tmp_path: Path) -> None:
    assert_refused(archive(tmp_path / "bad.keras", b"x", b"y"))


def test_archives_that_grow_are_refused(tmp_path: Path) -> None:
    bomb = bytes(20_000_000)
    assert_refused(archive(tmp_path / "bad.keras", bomb, method=zipfile.ZIP_DEFLATED))


def test_archives_that_lie_of_their_size_are_refused(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr(hdf5.MEMBER, b"small")
    content = buffer.getvalue().replace((5).to_bytes(4, "little") * 2, (2**31).to_bytes(4, "little") * 2)
    (tmp_path / "bad.keras").write_bytes(content)
    assert_refused(tmp_path / "bad.keras")
