"""Strict, and helpful: every tensor of the file and of the network is accounted for."""

import functools
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import safe_open
from torch import Tensor

import residua
from narrowing import narrow
from residua import UserError
from residua.nets.spec import AnySpec
from residua.weights import conversion
from residua.weights.conversion import Asked, convert
from residua.weights.convert import Converted, read
from residua.weights.layouts import LAYOUTS
from residua.weights.layouts.base import Layout
from residua.weights.metadata import Accuracy, ClassEntry, Metadata, Provenance
from residua.weights.model import Stored

SMALL: dict[str, Any] = {"num_classes": 3}


def randomized(network: Any) -> Any:
    """Random running statistics, so that nothing is right by luck."""
    with torch.no_grad():
        for name, value in network.state_dict().items():
            if name.endswith("running_mean"):
                value.normal_(0, 0.1)
            elif name.endswith("running_var"):
                value.uniform_(0.5, 2)
            elif name.endswith("num_batches_tracked"):
                value.fill_(7)
    return network


def saved(network: Any, path: Path, **wrapping: Any) -> Path:
    torch.save(network.state_dict(), path)
    return path


@pytest.fixture(scope="module")
def network() -> Any:
    torch.manual_seed(0)
    return randomized(residua.create("resnet18", **SMALL))


def same(found: Converted, network: Any) -> bool:
    ours = network.state_dict()
    return list(found.state) == list(ours) and all(torch.equal(found.state[key], ours[key]) for key in ours)


def members(layout: Layout) -> list[str]:
    return [name for name in layout.names() if layout.name != "akamaster" or name not in BOTTLENECKS]


BOTTLENECKS = ("cifar_resnet164", "cifar_resnet1001")


@settings(max_examples=60)
@given(st.data())
def test_every_network_goes_there_and_back_to_the_bit(data: st.DataObject) -> None:
    """Each layout, each network it can express, any number of classes and channels; narrow, to be quick."""
    layout = LAYOUTS[data.draw(st.sampled_from(sorted(LAYOUTS)))]
    base = layout.base(data.draw(st.sampled_from(members(layout))))
    heads = {"num_classes": data.draw(st.integers(1, 12)), "in_channels": data.draw(st.integers(1, 4))}
    spec = narrow(base).edit(**heads)
    state = {key: fingerprint(i, *shape) for i, (key, shape) in enumerate(shapes(spec).items())}
    rows = list(layout.rows(residua.plan(spec)))
    theirs = {row.theirs: row.axes.there(state[row.ours]).contiguous() for row in rows}
    assert len(theirs) == len(rows)
    assert all(tuple(theirs[row.theirs].shape) == row.their_shape for row in rows)
    back = layout.read(spec, theirs)
    for key, value in state.items():
        if key in back or not key.endswith("num_batches_tracked"):
            assert torch.equal(back[key], value), key


@pytest.mark.parametrize(
    ("layout", "name"), [(layout, name) for layout in LAYOUTS for name in members(LAYOUTS[layout])]
)
def test_every_network_is_recognised_by_names_and_shapes(layout: str, name: str) -> None:
    spec = LAYOUTS[layout].base(name).edit(num_classes=7, in_channels=2)
    state = {
        key: torch.empty(shape, dtype=kind, device="meta") for key, (shape, kind) in shapes(spec).items()
    }
    theirs = LAYOUTS[layout].write(spec, state)
    assert spec in LAYOUTS[layout].candidates(theirs)
    assert not LAYOUTS[layout].compare(spec, theirs).problems


@functools.cache
def shapes(spec: AnySpec) -> dict[str, tuple[torch.Size, torch.dtype]]:
    with torch.device("meta"):
        state = residua.create(spec).state_dict()
    return {key: (value.shape, value.dtype) for key, value in state.items()}


def fingerprint(place: int, shape: torch.Size, dtype: torch.dtype) -> Tensor:
    """Numbers that tell tensors and positions apart, cheap to make."""
    count = shape.numel()
    return (torch.arange(count, dtype=torch.float32) % 8191 + place).view(shape).to(dtype)


@pytest.mark.parametrize(
    "wrap",
    [
        lambda s: s,
        lambda s: {"state_dict": s, "epoch": 3, "optimizer": {"lr": 0.1}},
        lambda s: {"model": s},
        lambda s: {"model_state": s},
        lambda s: {"model_state_dict": s, "loss": 1.0},
        lambda s: {f"module.{k}": v for k, v in s.items()},
        lambda s: {"state_dict": {f"module._orig_mod.{k}": v for k, v in s.items()}},
        lambda s: {"arch": "resnet18", "state_dict": s, "best_acc1": torch.tensor(76.1)},
        lambda s: {"model_ema": {f"module.{k}": v for k, v in s.items()} | {"n_averaged": torch.tensor(3)}},
    ],
)
def test_the_usual_wrappings(wrap: Any, network: Any, tmp_path: Path) -> None:
    torch.save(wrap(network.state_dict()), tmp_path / "w.pth")
    found = read(tmp_path / "w.pth")
    assert found.spec.name == "resnet18" and same(found, network)


@pytest.mark.parametrize("entry", ["state_dict", "weights", "ema"])
def test_what_lies_beside_weights_is_passed_over(entry: str, network: Any, tmp_path: Path) -> None:
    torch.save(network.state_dict() | {entry: {"classes": torch.arange(3)}}, tmp_path / "w.pth")
    assert same(read(tmp_path / "w.pth"), network)


def test_what_holds_itself_is_refused(tmp_path: Path) -> None:
    data: dict[str, Any] = {}
    data["model"] = {"state_dict": data}
    torch.save(data, tmp_path / "w.pth")
    with pytest.raises(UserError, match="'state_dict' holds itself"):
        read(tmp_path / "w.pth")


def test_an_averaged_copy_is_taken_beside_a_number(network: Any, tmp_path: Path) -> None:
    average = {key: value + 1 for key, value in network.state_dict().items()}
    ema = {"decay": 0.9, "state_dict": average}
    torch.save({"acc": torch.tensor(76.1), "model": network.state_dict(), "ema": ema}, tmp_path / "w.pth")
    assert same(read(tmp_path / "w.pth"), network)
    assert torch.equal(read(tmp_path / "w.pth", ema=True).state["fc.bias"], average["fc.bias"])


def test_an_averaged_copy_is_taken_on_request(network: Any, tmp_path: Path) -> None:
    average = {key: value + 1 for key, value in network.state_dict().items()}
    torch.save({"state_dict": network.state_dict(), "state_dict_ema": average}, tmp_path / "w.pth")
    plain, ema = read(tmp_path / "w.pth"), read(tmp_path / "w.pth", ema=True)
    assert same(plain, network) and torch.equal(ema.state["fc.bias"], average["fc.bias"])
    assert any("state_dict_ema" in step for step in plain.steps)


def test_what_leaves_no_trace_follows_from_the_layout(network: Any, tmp_path: Path) -> None:
    torch.save(residua.create("resnet50", **SMALL).state_dict(), tmp_path / "w.pth")
    found = read(tmp_path / "w.pth")
    assert found.spec == residua.spec("resnet50", **SMALL) and found.layout == "torchvision"
    paper = read(tmp_path / "w.pth", model="resnet50_v1")
    assert paper.spec == residua.spec("resnet50_v1", **SMALL)


def test_networks_of_different_function_are_listed(tmp_path: Path) -> None:
    path = saved(residua.create("cifar_resnet20"), tmp_path / "w.pth")
    with pytest.raises(UserError, match="different function: cifar_plain20, cifar_resnet20; say which with"):
        read(path)
    assert read(path, model="cifar_plain20").spec == residua.spec("cifar_plain20")


@pytest.mark.parametrize("depth", [20, 56, 62])
@pytest.mark.parametrize("bare", [False, True])
def test_akamasters_checkpoints(depth: int, bare: bool, tmp_path: Path) -> None:
    """Old-style files, `state_dict`, `module.`, `linear`; zeros on both sides of option A."""
    network = randomized(residua.create(f"cifar_resnet{depth}", zero_channels="around")).eval()
    state = {key.replace("fc.", "linear."): value for key, value in network.state_dict().items()}
    data = state if bare else {"state_dict": {f"module.{k}": v for k, v in state.items()}, "best_prec1": 91.7}
    torch.save(data, tmp_path / "net.th", _use_new_zipfile_serialization=False)
    for model in (None, f"cifar_resnet{depth}"):
        found = read(tmp_path / "net.th", model=model)
        assert found.layout == "akamaster" and found.spec == network.spec
        assert same(found, network)


@pytest.mark.parametrize("name", ["missing", "extra", "transposed", "infinite", "nan", "negative variance"])
def test_wrong_weights_are_listed(name: str, network: Any, tmp_path: Path) -> None:
    state = {key: value.clone() for key, value in network.state_dict().items()}
    key = "layer2.0.conv1.weight"
    if name == "missing":
        del state[key]
    elif name == "extra":
        key = "layer2.0.conv9.weight"
        state[key] = torch.zeros(3)
    elif name == "transposed":
        state[key] = state[key].transpose(0, 1)
    elif name == "negative variance":
        key = "layer2.0.bn1.running_var"
        state[key][3] = -1
    else:
        state[key][0, 0, 0, 0] = float(name.removesuffix("inite"))
    torch.save(state, tmp_path / "w.pth")
    with pytest.raises(UserError) as error:
        read(tmp_path / "w.pth")
    assert key in str(error.value) and "\n" not in str(error.value)
    if name == "extra":
        found = read(tmp_path / "w.pth", ignore=["*.conv9.*"])
        assert same(found, network) and "ignored layer2.0.conv9.weight" in found.steps


def test_a_long_list_is_cut(network: Any, tmp_path: Path) -> None:
    state = {key: value for key, value in network.state_dict().items() if "layer4" not in key}
    torch.save(state, tmp_path / "w.pth")
    with pytest.raises(UserError, match=r"missing layer4\.0\..* and \d+ more"):
        read(tmp_path / "w.pth", model="resnet18")


def test_a_model_file_lacks_nothing(network: Any, tmp_path: Path) -> None:
    file = residua.save(network, tmp_path / "m.safetensors")
    with pytest.raises(UserError, match=r"missing layer1\.0\.conv1\.weight"):
        read(file, ignore=["layer1.0.conv1.weight"])
    assert read(file, ignore=["fc.*"], num_classes=4).state["fc.bias"].shape == (4,)


def test_what_is_read_of_a_folder_is_not_written_over(network: Any, tmp_path: Path) -> None:
    residua.save(network, tmp_path / "m.safetensors")
    convert(str(tmp_path / "m.safetensors"), tmp_path / "hf", Asked(), to="huggingface")
    before = (tmp_path / "hf" / "model.safetensors").read_bytes()
    with pytest.raises(UserError, match="is read, so it cannot be written"):
        convert(str(tmp_path / "hf"), tmp_path / "hf" / "model.safetensors", Asked())
    assert (tmp_path / "hf" / "model.safetensors").read_bytes() == before


def test_any_network_can_be_written_as_ours(tmp_path: Path) -> None:
    network = residua.create("cifar_resnet14", shortcut="scaling")
    residua.save(network, tmp_path / "m.safetensors")
    convert(str(tmp_path / "m.safetensors"), tmp_path / "m.pth", Asked())
    assert torch.load(tmp_path / "m.pth").keys() == network.state_dict().keys()


@pytest.mark.parametrize("layout", ["akamaster", "torchvision"])
def test_an_ending_in_capitals_is_the_same_ending(layout: str, tmp_path: Path) -> None:
    name = "cifar_resnet8" if layout == "akamaster" else "resnet18"
    fields = {"zero_channels": "around"} if layout == "akamaster" else {}
    residua.save(residua.create(name, num_classes=2, **fields), tmp_path / "m.safetensors")
    convert(str(tmp_path / "m.safetensors"), tmp_path / "W.SAFETENSORS", Asked(), to=layout)
    with safe_open(tmp_path / "W.SAFETENSORS", "pt") as file:
        assert "conv1.weight" in file.keys()  # noqa: SIM118 - it is no mapping
    with pytest.raises(UserError, match="no file type of"):
        convert(str(tmp_path / "m.safetensors"), tmp_path / "w.npz", Asked(), to=layout)


def test_a_network_of_ones_own_name_takes_weights(network: Any, tmp_path: Path) -> None:
    mine, file = network.spec.edit(name="mine"), str(saved(network, tmp_path / "w.pth"))
    found = residua.create(mine, weights=file)
    assert torch.equal(found.fc.weight, network.fc.weight)
    with pytest.raises(UserError, match="is resnet18 num_classes=3, not mine"):  # of the same names, too
        residua.create(mine.edit(norm_eps=0.01), weights=file)


def test_a_new_classifier_on_request(network: Any, tmp_path: Path) -> None:
    found = read(saved(network, tmp_path / "w.pth"), num_classes=8)
    assert found.spec.num_classes == 8 and found.state["fc.weight"].shape == (8, 512)
    assert "replaced the classifier by a new one of 8 classes" in found.steps
    assert all(
        torch.equal(found.state[k], v) for k, v in network.state_dict().items() if not k.startswith("fc")
    )
    headless = {key: value for key, value in network.state_dict().items() if not key.startswith("fc")}
    torch.save(headless, tmp_path / "headless.pth")
    with pytest.raises(UserError, match="without its classifier: --num-classes N"):
        read(tmp_path / "headless.pth", model="resnet18")
    assert read(tmp_path / "headless.pth", num_classes=4).state["fc.bias"].shape == (4,)


@pytest.mark.parametrize("channels", [1, 4, 6])
def test_other_channels_on_request(channels: int, network: Any, tmp_path: Path) -> None:
    """Where all channels carry the same image, the adapted stem gives what the old one gave."""
    found = read(saved(network, tmp_path / "w.pth"), in_channels=channels)
    adapted = residua.create(found.spec).eval()
    adapted.load_state_dict(found.state)
    gray = torch.randn(2, 1, 33, 33)
    if channels != 4:
        expected = network.eval()(gray.expand(2, 3, 33, 33))
        torch.testing.assert_close(adapted(gray.expand(2, channels, 33, 33)), expected, rtol=1e-4, atol=1e-5)
    assert any("stem's 3 channels" in step for step in found.steps)


def test_half_precision_becomes_single(network: Any, tmp_path: Path) -> None:
    torch.save(
        {k: v.half() if v.is_floating_point() else v for k, v in network.state_dict().items()},
        tmp_path / "w.pt",
    )
    assert all(v.dtype in (torch.float32, torch.int64) for v in read(tmp_path / "w.pt").state.values())


def test_old_files_without_batch_counts(network: Any, tmp_path: Path) -> None:
    torch.save({k: v for k, v in network.state_dict().items() if "num_batches" not in k}, tmp_path / "w.pth")
    found = read(tmp_path / "w.pth")
    assert list(found.state) == list(network.state_dict())


def test_a_model_file_is_a_source_too(network: Any, tmp_path: Path) -> None:
    gated = randomized(residua.create("cifar_highway20"))
    path = residua.save(gated, tmp_path / "m.safetensors", classes=[f"c{i}" for i in range(10)])
    found = read(path)
    assert found.spec == gated.spec and same(found, gated)
    assert found.stated is not None and found.stated.classes is not None


@pytest.mark.parametrize(
    ("name", "sentence"),
    [("nothing.pth", "does not exist"), ("notes.txt", "known are"), ("folder", "without config.json")],
)
def test_what_is_no_source(name: str, sentence: str, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("weights")
    (tmp_path / "folder").mkdir()
    with pytest.raises(UserError, match=sentence):
        read(tmp_path / name)


def test_a_layout_says_what_it_cannot_express() -> None:
    gated = residua.create("cifar_highway20")
    with pytest.raises(UserError, match="torchvision has no network like cifar_highway20"):
        LAYOUTS["torchvision"].write(gated.spec, gated.state_dict())
    behind = residua.create("cifar_resnet20")
    with pytest.raises(UserError, match="akamaster has no network like"):
        LAYOUTS["akamaster"].write(behind.spec, behind.state_dict())
    tuned = residua.create("resnet18", num_classes=5, stochastic_depth=0.1, norm_momentum=0.01)
    assert LAYOUTS["torchvision"].write(tuned.spec, tuned.state_dict())


def test_convert_on_the_command_line(network: Any, tmp_path: Path) -> None:
    from typer.testing import CliRunner

    from residua.cli import app

    source = saved(network, tmp_path / "w.pth")
    (tmp_path / "classes.txt").write_text("cat\ndog\nfish\n")
    out = tmp_path / "m.safetensors"
    words = ["convert", str(source), "-o", str(out), "--preprocess", "imagenet"]
    done = CliRunner().invoke(app, [*words, "--classes", str(tmp_path / "classes.txt"), "--json"])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["spec"]["name"] == "resnet18"
    model = residua.load(out)
    assert model.classes is not None and model.classes[2].name == "fish"
    assert model.preprocessing is not None and model.preprocessing.resize == 256
    assert model.metadata.provenance.layout == "torchvision"
    back = CliRunner().invoke(
        app, ["convert", str(out), "-o", str(tmp_path / "back.pth"), "--to", "torchvision"]
    )
    assert back.exit_code == 0, back.output
    state = torch.load(tmp_path / "back.pth", weights_only=True)
    assert all(torch.equal(state[key], value) for key, value in network.state_dict().items())
    shown = CliRunner().invoke(app, ["inspect", str(out)])
    assert "cat, dog, fish" in shown.stdout and "verified" in shown.stdout


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--in-channels", "0"], "in_channels=0 is not valid"),
        (["--in-channels", "999999999"], "at most 64"),
        (["--drop-background"], "is for TF-Slim's networks"),
        (["--ignore", "nomatch*"], "--ignore 'nomatch*' matches no tensor"),
        (["--to", "torchvision", "--out", "w.pth"], "w.pth is read, so it cannot be written"),
        (["--num-classes", "0"], "num_classes=0 is not valid"),
        (["--to", "tochvision"], "unknown layout 'tochvision': did you mean torchvision"),
        (["--layout", "x"], "unknown layout 'x'"),
        (["--to", "keras"], "keras has no network like resnet18"),
        (["--preprocess", "imgnet"], "unknown preprocessing 'imgnet'"),
        (["--classes", "nowhere.txt"], "nowhere.txt"),
        (["--model", "resnet34"], "nearest to resnet34"),
        (["--ema"], "no averaged copy"),
        (["--out", "there.xyz"], "there.xyz"),
        (["--to", "torchvision", "--out", "there.bin"], "no file type of torchvision"),
        (["--out", "/nowhere/m.safetensors"], "/nowhere/m.safetensors cannot be written"),
    ],
)
def test_mistakes_in_a_conversion(words: list[str], sentence: str, network: Any, tmp_path: Path) -> None:
    from typer.testing import CliRunner

    from residua.cli import app

    source = saved(network, tmp_path / "w.pth")
    words = [str(source) if word == "w.pth" else word for word in words]
    command = ["convert", str(source), "--out", str(tmp_path / "m.safetensors"), *words]
    done = CliRunner().invoke(app, command)
    assert isinstance(done.exception, UserError) and sentence in str(done.exception), done.exception
    assert not (tmp_path / "m.safetensors").exists()


def test_a_model_file_keeps_what_it_says(network: Any, tmp_path: Path) -> None:
    """From model file to model file: temperature, origin, classes; accuracy while it still holds."""
    accuracy = Accuracy(top1=70.0)
    stated = Metadata(
        spec=network.spec,
        classes=tuple(ClassEntry(id=name, name=name) for name in "abc"),
        provenance=Provenance(source="there", layout="torchvision", recipe="mine", steps=("one",)),
        accuracy=accuracy,
        temperature=2.5,
    )
    residua.save(Stored(network, stated), tmp_path / "M.SAFETENSORS")
    again = convert(str(tmp_path / "M.SAFETENSORS"), tmp_path / "again.safetensors", Asked(num_classes=3))
    assert again == stated
    prepared = convert(
        str(tmp_path / "M.SAFETENSORS"), tmp_path / "p.safetensors", Asked(preprocess="imagenet")
    )
    assert prepared.accuracy is None and prepared.temperature == 2.5
    gray = convert(str(tmp_path / "M.SAFETENSORS"), tmp_path / "gray.safetensors", Asked(in_channels=1))
    assert (gray.accuracy, gray.temperature) == (None, None) and gray.provenance.steps[0] == "one"


def test_create_takes_a_model_file_only_for_what_it_is(tmp_path: Path) -> None:
    path = residua.save(residua.create("resnet50_v1", num_classes=2), tmp_path / "v1.safetensors")
    assert residua.create("resnet50_v1", weights=str(path), num_classes=2)
    with pytest.raises(UserError, match="is resnet50_v1 num_classes=2, not resnet50 num_classes=2"):
        residua.create("resnet50", weights=str(path), num_classes=2)


@pytest.mark.parametrize(
    "odd", ["integer key", "bytes key", "wrapped", "sparse", "meta", "complex", "quantized", "nested"]
)
@pytest.mark.filterwarnings("ignore:.*(nested tensors|quantize|Sparse).*")
def test_odd_tensors_are_refused(odd: str, network: Any, tmp_path: Path) -> None:
    state: dict[Any, Any] = dict(network.state_dict())
    key: Any = {"integer key": 1, "bytes key": b"fc.bias"}.get(odd, "fc.bias")
    bias = state["fc.bias"]
    made: dict[str, Any] = {
        "sparse": lambda: bias.to_sparse(),
        "meta": lambda: bias.to("meta"),
        "complex": lambda: bias.to(torch.complex64),
        "quantized": lambda: torch.quantize_per_tensor(bias, 0.1, 0, torch.quint8),
        "nested": lambda: torch.nested.nested_tensor([bias, bias[:1]]),
    }
    state[key] = made[odd]() if odd in made else bias
    torch.save({"model": {"state_dict": {5: bias}}} if odd == "wrapped" else state, tmp_path / "odd.pth")
    with pytest.raises(UserError, match="is refused: ") as error:
        read(tmp_path / "odd.pth")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", ["absent/best.safetensors", "absent/a.pth", "a/b/c", "absent/A.H5"])
def test_a_path_that_is_absent_is_no_repository(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(conversion, "fetch_repository", lambda *_, **__: pytest.fail("asked a server"))
    with pytest.raises(UserError, match=f"{name} does not exist"):
        convert(name, tmp_path / "out.safetensors", Asked())
