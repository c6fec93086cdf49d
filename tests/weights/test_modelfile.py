"""The model file says everything, is written whole or not at all, and shows every damage."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save_file

import residua
from residua import UserError
from residua.weights.metadata import Accuracy, ClassEntry, Preprocessing, Provenance
from residua.weights.modelfile import inspect, write_temperature

PREPROCESSING = Preprocessing(size=8, resize=9, rule="letterbox", interpolation="bicubic")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A small model file that says everything."""
    torch.manual_seed(0)
    network = residua.create("tiny_resnet", num_classes=3)
    return residua.save(
        network,
        tmp_path / "model.safetensors",
        classes=[
            ClassEntry(id="n1", name="cat"),
            ClassEntry(id="n2", name="dög"),
            ClassEntry(id="n3", name="a\nb"),
        ],
        preprocessing=PREPROCESSING,
        provenance=Provenance(source="here", layout="residua", steps=("made", "saved"), recipe="none"),
        accuracy=Accuracy(top1=93.5, top5=None, data="three photos", measured_by="me"),
    )


def test_everything_comes_back(file: Path) -> None:
    model = residua.load(file)
    assert model.classes is not None and [entry.name for entry in model.classes] == ["cat", "dög", "a\nb"]
    assert model.preprocessing == PREPROCESSING
    assert model.metadata.provenance.steps == ("made", "saved")
    assert model.metadata.accuracy == Accuracy(top1=93.5, data="three photos", measured_by="me")
    again = residua.save(model, file.with_name("again.safetensors"))
    assert again.read_bytes() == file.read_bytes()


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("resnet18", {}),
        ("vgg16_bn", {"hidden": 8, "widths": (2, 2, 4, 4, 4)}),
        ("cifar_preresnet20", {"norm": "group"}),
        ("cifar_highway20", {"norm": "batch_first_principles", "norm_momentum": "exact"}),
        ("seresnet50", {"widths": (4, 8, 8, 8), "stochastic_depth": 0.2}),
        ("slim_resnet_v2_50", {"widths": (4, 8, 8, 8), "output_stride": 16}),
        ("plain18", {"norm": "none", "widths": (4, 8, 8, 8)}),
    ],
)
def test_any_network_survives_to_the_bit(name: str, fields: dict[str, Any], tmp_path: Path) -> None:
    network = residua.create(name, num_classes=4, **fields).eval()
    loaded = residua.load(residua.save(network, tmp_path / "m.safetensors")).network
    assert loaded.spec == network.spec and loaded.spec.name == name and not loaded.training
    ours, theirs = network.state_dict(), loaded.state_dict()
    assert list(ours) == list(theirs) and all(torch.equal(ours[key], theirs[key]) for key in ours)
    x = torch.randn(2, 3, 64, 64)
    assert torch.equal(network(x), loaded(x))


def test_channels_last_and_half_precision_survive(tmp_path: Path) -> None:
    network = residua.create("tiny_resnet")
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    expected = {key: value.clone() for key, value in network.state_dict().items()}
    state = residua.load(residua.save(network, tmp_path / "m.safetensors")).network.state_dict()
    assert all(torch.equal(state[key], expected[key]) for key in expected)


def test_every_truncation_is_found(file: Path) -> None:
    whole = file.read_bytes()
    draw = random.Random(0)  # noqa: S311 - no secret
    cut = file.with_name("cut.safetensors")
    for length in [0, 1, 7, 8, 9, len(whole) - 1, *(draw.randrange(len(whole)) for _ in range(100))]:
        cut.write_bytes(whole[:length])
        refused(cut)
    cut.write_bytes(whole + b"\0")
    refused(cut)


def test_every_flipped_bit_is_found(file: Path) -> None:
    whole = bytearray(file.read_bytes())
    draw = random.Random(1)  # noqa: S311 - no secret
    flipped = file.with_name("flipped.safetensors")
    header = 8 + int.from_bytes(whole[:8], "little")
    places = [*range(64), *(draw.randrange(8 * header) for _ in range(436))]
    places += [draw.randrange(8 * len(whole)) for _ in range(500)]
    for place in places:
        whole[place // 8] ^= 1 << place % 8
        flipped.write_bytes(whole)
        refused(flipped)
        whole[place // 8] ^= 1 << place % 8


def refused(path: Path) -> str:
    with pytest.raises(UserError) as error:
        residua.load(path)
    assert str(path) in str(error.value) and "\n" not in str(error.value)
    return str(error.value)


def rewritten(file: Path, edit: Any) -> Path:
    """The same weights with other metadata, and a right checksum."""
    from residua.weights.tensorfile import read_tensors, write

    data = json.loads(inspect(file).to_json())
    edit(data)
    out = file.with_name("edited.safetensors")
    write(out, read_tensors(file), json.dumps(data))
    return out


def test_what_nobody_could_load_is_not_written(file: Path) -> None:
    before = file.read_bytes()
    other, odd = (residua.create("tiny_resnet", num_classes=2) for _ in range(2))
    other.fc = torch.nn.Linear(other.fc.in_features, 5)
    odd.to(torch.float8_e4m3fn)
    for network in (other, odd):
        with pytest.raises(UserError, match="was not written, as the network is not its spec's: tensor"):
            residua.save(network, file)
    assert file.read_bytes() == before


@pytest.mark.filterwarnings("ignore:.*script_method.*:DeprecationWarning")  # within PyTorch
def test_a_compiled_network_is_saved_as_it_was(tmp_path: Path) -> None:
    network = residua.create("tiny_resnet")
    path = residua.save(torch.compile(network), tmp_path / "a.safetensors")  # type: ignore[arg-type]
    assert torch.equal(residua.load(path).network.state_dict()["fc.weight"], network.fc.weight)


def test_who_wrote_it_is_said(tmp_path: Path) -> None:
    path = residua.save(residua.create("tiny_resnet"), tmp_path / "a.safetensors")
    assert inspect(path).provenance == Provenance(software=f"residua {residua.__version__}")


def test_classes_survive_whose_names_are_no_text(tmp_path: Path) -> None:
    path = residua.save(residua.create("tiny_resnet", num_classes=2), tmp_path / "a", classes=["\udcff", "ü"])
    assert [each.name for each in residua.load(path).classes or ()] == ["\udcff", "ü"]


@pytest.mark.parametrize(
    ("edit", "sentence"),
    [
        (lambda d: d.update(version=2), "version 2.*upgrade"),
        (lambda d: d.pop("version"), "no version"),
        (lambda d: d.update(version="1"), "no version"),
        (lambda d: d.update(family="unet"), "family 'unet'"),
        (lambda d: d.update(family=[]), r"family \[\]"),
        (lambda d: d.update(surprise=1), "unknown field 'surprise'"),
        (lambda d: d.pop("spec"), "no spec"),
        (lambda d: d["spec"].update(order="new"), "order='new' is not valid"),
        (lambda d: d["spec"].update(widths=[10**9, 10**9]), "tensor"),
        (lambda d: d["spec"].update(units=[50_000, 50_000]), "asks for 100,000 units"),
        (lambda d: d["spec"].update(num_classes=10**9, name="x"), "class names do not fit"),
        (lambda d: d["spec"].update(stem_width=8), "tensor"),
        (lambda d: d.update(classes=None) or d["spec"].update(num_classes=10**9), "asks for"),
        (lambda d: d["classes"].pop(), "2 class names do not fit a network of 3"),
        (lambda d: d["classes"][0].update(id="n2"), "two classes have the id 'n2'"),
        (lambda d: d["classes"][0].pop("name"), "incomplete"),
        (lambda d: d["classes"].__setitem__(0, "cat"), "not a JSON object"),
        (lambda d: d.update(classes="cats"), "classes is not a list"),
        (lambda d: d["preprocessing"].update(std=[0, 1, 1]), "above 0"),
        (lambda d: d["preprocessing"].update(mean=[0.0]), "3 numbers"),
        (lambda d: d["preprocessing"].update(size=-3), "size=-3"),
        (lambda d: d["preprocessing"].update(size=2**30, resize=2**30), "size=1073741824"),
        (lambda d: d["accuracy"].update(top1=120), "top1"),
        (lambda d: d.update(temperature=0), "temperature"),
    ],
)
def test_metadata_that_cannot_be_is_said(file: Path, edit: Any, sentence: str) -> None:
    import re

    assert re.search(sentence, refused(rewritten(file, edit)))


def test_metadata_that_is_not_json(file: Path) -> None:
    from residua.weights.tensorfile import read_tensors, write

    for text in ("{", "[]", "[" * 100_000, "nan", '{"version": 1e999}', "\x00"):
        write(file, read_tensors(file), text)
        refused(file)


def crafted(path: Path, header: Any, data: bytes = b"", length: int | None = None) -> Path:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes((len(text) if length is None else length).to_bytes(8, "little") + text + data)
    return path


def entry(start: int, end: int, shape: list[int], dtype: str = "F32") -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [start, end]}


HOSTILE: dict[str, tuple[Any, bytes, int | None]] = {
    "absurd header length": ({}, b"", 2**63),
    "header of 2 GB": ({}, b"", 2**31),
    "not JSON": (b"\xff" * 64, b"", None),
    "nested": (b'{"a":' * 50_000, b"", None),
    "overlapping tensors": ({"a": entry(0, 8, [2]), "b": entry(4, 12, [2])}, bytes(12), None),
    "out of range": ({"a": entry(0, 4000, [1000])}, bytes(8), None),
    "negative offsets": ({"a": entry(-4, 4, [2])}, bytes(8), None),
    "shape of a terabyte": ({"a": entry(0, 8, [2**40])}, bytes(8), None),
    "shape that overflows": ({"a": entry(0, 8, [2**33, 2**33])}, bytes(8), None),
    "unknown type": ({"a": entry(0, 8, [2], "F99")}, bytes(8), None),
    "hole": ({"a": entry(8, 16, [2])}, bytes(16), None),
    "metadata that is a number": ({"__metadata__": 3}, b"", None),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_headers(kind: str, tmp_path: Path) -> None:
    header, data, length = HOSTILE[kind]
    start = time.perf_counter()
    refused(crafted(tmp_path / "hostile.safetensors", header, data, length))
    assert time.perf_counter() - start < 2


def test_numbers_of_a_kind_that_nothing_here_computes_with_are_refused(tmp_path: Path) -> None:
    from residua.weights.tensorfile import read_tensors

    odd = crafted(tmp_path / "odd.safetensors", {"a": entry(0, 3, [4], "F6_E2M3")}, bytes(3))
    with pytest.raises(UserError, match=r"odd\.safetensors cannot be read: .*F6_E2M3"):
        read_tensors(odd)


def test_a_pipe_is_no_model_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert "pipe cannot be read: it is a device or a pipe, not a file." in refused(tmp_path / "pipe")


def test_a_temperature_is_stored_through_a_link(file: Path, tmp_path: Path) -> None:
    link = tmp_path / "link.safetensors"
    link.symlink_to(file)
    write_temperature(link, 1.5)
    assert link.is_symlink() and inspect(file).temperature == 1.5


def test_other_peoples_safetensors_are_told_apart(tmp_path: Path) -> None:
    save_file({"a": torch.zeros(2)}, tmp_path / "a.safetensors")
    assert "`residua convert` makes one" in refused(tmp_path / "a.safetensors")
    assert "cannot be read" in refused(tmp_path / "missing.safetensors")
    (tmp_path / "folder.safetensors").mkdir()
    refused(tmp_path / "folder.safetensors")


def test_wrong_types_are_refused(file: Path) -> None:
    from residua.weights.tensorfile import read_tensors, write

    metadata = inspect(file).to_json()
    tensors = read_tensors(file)
    for odd in (torch.int32, torch.bool, torch.complex64):
        write(file, tensors | {"fc.bias": tensors["fc.bias"].to(odd)}, metadata)
        assert "which no weights have" in refused(file)


LIMITED = """
import resource, sys, torch, residua
network = residua.create("tiny_resnet", num_classes=5000)
resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000))
try:
    residua.save(network, sys.argv[1])
except residua.UserError as error:
    print(error)
    sys.exit(2)
"""


def test_a_full_disk_loses_nothing(file: Path) -> None:
    before = file.read_bytes()
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, str(file)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2 and "cannot be written" in done.stdout and str(file) in done.stdout, done
    assert file.read_bytes() == before
    assert os.listdir(file.parent) == [file.name]  # noqa: PTH208 - hidden files too


KILLED = """
import sys, residua
network = residua.create("tiny_resnet", num_classes=20_000)
print("ready", flush=True)
while True:
    residua.save(network, sys.argv[1])
"""


def test_a_kill_at_any_moment_leaves_a_whole_file(file: Path) -> None:
    draw = random.Random(2)  # noqa: S311 - no secret
    for _ in range(4):
        with subprocess.Popen([sys.executable, "-c", KILLED, str(file)], stdout=subprocess.PIPE) as child:
            assert child.stdout is not None and child.stdout.readline() == b"ready\n"
            time.sleep(draw.uniform(0.0, 0.2))
            child.send_signal(signal.SIGKILL)
        residua.load(file)


def test_permissions_are_the_users(tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    plain.touch()
    saved = residua.save(residua.create("tiny_resnet"), tmp_path / "m.safetensors")
    assert saved.stat().st_mode == plain.stat().st_mode


def test_pixels_go_through_the_preprocessing(file: Path) -> None:
    from residua.weights.preprocessing import preprocess

    pixels = torch.randint(0, 256, (2, 3, 8, 8), dtype=torch.uint8)
    rule = Preprocessing(size=8, resize=8)
    mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in (rule.mean, rule.std))
    torch.testing.assert_close(preprocess(pixels, rule), (pixels / 255 - mean) / std)
    bgr = Preprocessing(size=8, resize=8, channels="bgr", scale=1, mean=(1, 2, 3), std=(1, 1, 1))
    expected = pixels.float().flip(1) - torch.tensor([1.0, 2, 3]).view(1, 3, 1, 1)
    torch.testing.assert_close(preprocess(pixels, bgr), expected)


@given(
    st.integers(1, 40),
    st.integers(1, 40),
    st.sampled_from(["crop", "letterbox", "squash"]),
    st.sampled_from(["bilinear", "bicubic", "nearest"]),
    st.sampled_from(["rgb", "bgr"]),
)
def test_preprocessing_always_gives_the_networks_size(
    height: int, width: int, rule: Any, interpolation: Any, channels: Any
) -> None:
    from residua.weights.preprocessing import preprocess

    chosen = Preprocessing(size=8, resize=10, rule=rule, interpolation=interpolation, channels=channels)
    x = preprocess(torch.full((1, 3, height, width), 255, dtype=torch.uint8), chosen)
    assert x.shape == (1, 3, 8, 8) and x.isfinite().all()


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
@pytest.mark.parametrize(("height", "width"), [(300, 400), (107, 1498), (500, 375)])
def test_resizing_is_pillows(interpolation: Any, height: int, width: int) -> None:
    """A photo of noise, the worst case: hardly a value differs from Pillow's, and none by more than 2."""
    from PIL import Image

    from residua.weights.preprocessing import preprocess

    rule = Preprocessing(interpolation=interpolation, scale=1, mean=(0, 0, 0), std=(1, 1, 1))
    pixels = torch.randint(0, 256, (height, width, 3), dtype=torch.uint8)
    short = min(height, width)
    size = (256 * width // short, 256 * height // short)
    kind = Image.Resampling.BILINEAR if interpolation == "bilinear" else Image.Resampling.BICUBIC
    resized = Image.fromarray(pixels.numpy()).resize(size, kind)
    left, top = (round((side - 224) / 2) for side in size)
    crop = torch.tensor(list(resized.crop((left, top, left + 224, top + 224)).tobytes())).view(224, 224, 3)
    difference = (preprocess(pixels.movedim(-1, 0)[None], rule)[0].movedim(0, -1) - crop).abs()
    assert difference.max() <= 2 and (difference > 0).float().mean() < 0.01


def test_the_checksum_is_of_the_whole_file(file: Path) -> None:
    """As docs/model-file.md says, so that anyone can verify it without Residua."""
    import hashlib

    whole = file.read_bytes()
    stated = json.loads(whole[8 : 8 + int.from_bytes(whole[:8], "little")])["__metadata__"]["residua"]
    stated = json.loads(stated)["sha256"]
    assert hashlib.sha256(whole.replace(stated.encode(), b"0" * 64, 1)).hexdigest() == stated
