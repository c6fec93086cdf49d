"""Hugging Face's folders: read to the same function, written back, and told apart from what has none here."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from transformers import ResNetConfig, ResNetForImageClassification
from transformers.models.bit.image_processing_pil_bit import BitImageProcessorPil
from transformers.models.convnext.image_processing_pil_convnext import ConvNextImageProcessorPil
from transformers.models.vit.image_processing_pil_vit import ViTImageProcessorPil

from residua import UserError, create
from residua.nets.network import Network
from residua.nets.spec import Spec
from residua.nets.zoo import spec
from residua.weights.convert import Converted, read
from residua.weights.layouts.huggingface import HuggingFace
from residua.weights.metadata import ClassEntry, Metadata, Preprocessing
from residua.weights.preprocessing import preprocess
from residua.weights.sources import Source, read_source

CASES: dict[str, dict[str, Any]] = {
    "resnet50": {},
    "resnet50_v1": {"downsample_in_bottleneck": True},
    "resnet18": {"layer_type": "basic", "depths": [2, 2, 2, 2], "hidden_sizes": [64, 128, 256, 512]},
    "odd": {"depths": [1, 2, 1], "hidden_sizes": [16, 24, 64], "embedding_size": 12, "num_channels": 4},
    "odd_v1": {"depths": [1, 3], "hidden_sizes": [16, 40], "downsample_in_bottleneck": True},
    "odd_basic": {"depths": [1, 2], "hidden_sizes": [12, 10], "embedding_size": 12, "layer_type": "basic"},
}
RELATIVE = 1e-5


@torch.no_grad()
def theirs(**config: Any) -> Any:
    """Return a network of theirs in which every number is random and matters."""
    numbers = torch.Generator().manual_seed(0)
    network: Any = ResNetForImageClassification(ResNetConfig(**({"num_labels": 7} | config)))
    for name, part in network.named_modules():
        if isinstance(part, nn.BatchNorm2d):
            part.weight.uniform_(0.5, 1.5, generator=numbers)
            part.bias.uniform_(-1, 1, generator=numbers)
            part.get_buffer("running_mean").normal_(generator=numbers)
            part.get_buffer("running_var").uniform_(0.5, 2, generator=numbers)
            part.get_buffer("num_batches_tracked").fill_(7)
        elif isinstance(part, nn.Conv2d):
            scale = 0.2 if name.endswith(("layer.1.convolution", "layer.2.convolution")) else 1
            part.weight.normal_(0, scale * part.weight[0].numel() ** -0.5, generator=numbers)
    return network.eval()


@pytest.fixture(scope="module", params=CASES)
def case(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Return a case's name, the network, and the folder that the library saved it to."""
    network = theirs(**CASES[request.param])
    folder = tmp_path_factory.mktemp("huggingface") / request.param
    network.save_pretrained(folder)
    return request.param, network, folder


def converted(folder: Path) -> Converted:
    return read(folder, layout="huggingface")


def ours(found: Converted) -> Network:
    assert isinstance(found.spec, Spec)
    network = create(found.spec).eval()
    network.load_state_dict(found.state, strict=True)
    return network


@torch.no_grad()
def assert_same(found: nn.Module, wanted: nn.Module, channels: int) -> None:
    for side in (224, 225):
        images = torch.randn(1, channels, side, side, generator=torch.Generator().manual_seed(side))
        mine, other = (logits(network, images) for network in (found, wanted))
        assert mine.shape == other.shape
        assert (mine - other).norm() <= RELATIVE * other.norm()


def logits(network: nn.Module, images: Tensor) -> Tensor:
    found = network(images)
    return found if isinstance(found, Tensor) else found.logits


def stored(found: Converted, folder: Path, **metadata: Any) -> Path:
    layout = HuggingFace()
    tensors = layout.write(found.spec, found.state)
    layout.store(folder, tensors, Metadata(spec=found.spec, **metadata))
    return folder


def test_a_folder_of_theirs_computes_the_same(case: Any) -> None:
    name, network, folder = case
    found = read(folder)
    assert found.layout == "huggingface"
    assert found.spec.name == ("" if name.startswith("odd") else name)
    assert found.state["layer1.0.bn1.num_batches_tracked"] == 7
    assert_same(ours(found), network, found.spec.in_channels)


def test_a_folder_of_ours_computes_the_same(case: Any, tmp_path: Path) -> None:
    _, network, folder = case
    found = converted(folder)
    again: Any = ResNetForImageClassification.from_pretrained(stored(found, tmp_path / "new"))
    assert_same(again.eval(), network, found.spec.in_channels)
    assert converted(tmp_path / "new").spec == found.spec
    assert [path.name for path in tmp_path.iterdir()] == ["new"]


def test_weights_without_configuration_need_the_name(case: Any) -> None:
    name, _, folder = case
    weights = folder / "model.safetensors"
    if name in ("resnet50", "resnet50_v1"):
        with pytest.raises(UserError, match=r"resnet50 .*resnet50_v1 .*say which with --model"):
            read(weights)
    if not name.startswith("odd"):
        assert read(weights, model=name).spec == spec(name, num_classes=7)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a small network."""
    folder = tmp_path_factory.mktemp("small")
    theirs(**CASES["odd_v1"]).save_pretrained(folder)
    return folder


def rewritten(folder: Path, target: Path, **changes: Any) -> Path:
    """Copy a folder with other values in its configuration."""
    target.mkdir()
    config = json.loads((folder / "config.json").read_text()) | changes
    (target / "config.json").write_text(json.dumps(config))
    (target / "model.safetensors").write_bytes((folder / "model.safetensors").read_bytes())
    return target


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("hidden_act", "gelu"),
        ("downsample_in_first_stage", True),
        ("model_type", "vit"),
        ("model_type", None),
        ("architectures", ["ResNetModel"]),
        ("architectures", "ResNetForImageClassification"),
        ("layer_type", ["basic"]),
        ("layer_type", "wide"),
        ("hidden_sizes", [16, 42]),
        ("hidden_sizes", "all"),
        ("depths", [1, 10**12]),
        ("depths", [1, None]),
        ("num_channels", 2.5),
        ("embedding_size", True),
        ("downsample_in_bottleneck", "yes"),
    ],
)
def test_what_has_no_words_here_is_refused_by_name(
    small: Path, tmp_path: Path, field: str, value: object
) -> None:
    with pytest.raises(UserError, match=rf"^config.json: {field}=[^\n]*$"):
        converted(rewritten(small, tmp_path / "changed", **{field: value}))


@pytest.mark.parametrize(
    ("field", "value"),
    [("depths", [1, 2]), ("embedding_size", 8), ("id2label", {"0": "a"}), ("layer_type", "basic")],
)
def test_weights_must_be_those_of_the_configuration(
    small: Path, tmp_path: Path, field: str, value: object
) -> None:
    with pytest.raises(UserError, match=r"changed is nearest to network[^\n]* in the layout huggingface"):
        converted(rewritten(small, tmp_path / "changed", **{field: value}))


def test_another_library_s_folder_is_not_theirs(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"architecture": "resnet18"}')
    found = list(HuggingFace().candidates({}, {"architecture": "resnet18"}))
    assert found == []


@pytest.mark.parametrize(
    ("name", "fields", "can"),
    [
        ("resnet50", {}, True),
        ("resnet101_v1", {"num_classes": 3, "in_channels": 1}, True),
        ("resnet34", {"units": (1, 1), "widths": (8, 8), "stem_width": 4, "stochastic_depth": 0.1}, True),
        ("resnet50", {"norm_eps": 1e-3}, False),
        ("resnet50d", {}, False),
        ("wide_resnet50_2", {}, False),
        ("resnetv2_50", {}, False),
        ("plain18", {}, False),
        ("vgg16", {}, False),
    ],
)
def test_what_it_expresses(name: str, fields: dict[str, Any], can: bool) -> None:
    assert HuggingFace().expresses(spec(name, **fields)) == can


def test_nothing_is_overwritten_and_nothing_half_written_stays(small: Path, tmp_path: Path) -> None:
    found = converted(small)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine").touch()
    (tmp_path / "file").touch()
    for name in ("full", "file", "full/mine/new"):
        with pytest.raises(UserError, match=r"exists already|cannot be written"):
            stored(found, tmp_path / name)
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["file", "full", "mine"]
    (tmp_path / "empty").mkdir()
    assert converted(stored(found, tmp_path / "empty")).spec == found.spec


def test_labels_are_classes(small: Path, tmp_path: Path) -> None:
    layout = HuggingFace()
    assert layout.metadata(read_source(small)) == (None, None)
    names = ["crane", "dog", "Käse", "crane", "e", "f", "g"]
    labels = {str(place): name for place, name in enumerate(names)}
    labelled = rewritten(small, tmp_path / "labelled", id2label=labels)
    found = converted(labelled)
    classes, _ = layout.metadata(read_source(labelled))
    assert classes is not None
    assert [entry.name for entry in classes] == names
    assert [entry.id for entry in classes][:4] == ["crane (0)", "dog", "Käse", "crane (3)"]
    folder = stored(found, tmp_path / "again", classes=classes)
    assert dict(ResNetConfig.from_pretrained(folder).id2label or {}) == dict(enumerate(names))
    assert layout.metadata(read_source(folder)) == (classes, None)
    plain = (ClassEntry(id="a", name="a"), *classes[1:3])
    with pytest.raises(UserError, match="3 class names do not fit"):
        stored(found, tmp_path / "wrong", classes=plain)


PHOTO = np.random.default_rng(0).integers(80, 160, (90, 140, 3), dtype=np.uint8)  # Pillow clips in between
PHOTO = np.repeat(np.repeat(PHOTO, 5, 0), 5, 1)  # large enough to be made smaller
COLOURS: dict[str, Any] = {"image_mean": [0.4, 0.5, 0.6], "image_std": [0.2, 0.3, 0.4]}


def said(processor: Any, folder: Path) -> Preprocessing | None:
    """Return what a processor's own file says to us."""
    processor.save_pretrained(folder)
    return rule((folder / "preprocessor_config.json").read_text())


def rule(text: str) -> Preprocessing | None:
    return HuggingFace().metadata(Source(Path(), {}, preprocessor=json.loads(text)))[1]


def assert_same_pixels(processor: Any, rule: Preprocessing) -> None:
    """Compare inputs: PyTorch's resizing differs from Pillow's in one value of 200, by 2 at most."""
    wanted = torch.from_numpy(np.asarray(processor(PHOTO, return_tensors="np")["pixel_values"]))
    found = preprocess(torch.from_numpy(PHOTO).permute(2, 0, 1)[None], rule)
    assert found.shape == wanted.shape
    step = 2.01 * rule.scale / torch.tensor(rule.std).view(1, 3, 1, 1)
    assert bool(((found - wanted).abs() <= step).all())
    assert (found - wanted).abs().mean() < 0.005 * step.mean()


PROCESSORS = [
    (ConvNextImageProcessorPil, {"size": {"shortest_edge": 224}, "crop_pct": 0.875, "resample": 3}),
    (ConvNextImageProcessorPil, {"size": {"shortest_edge": 200}, "crop_pct": 0.9, "resample": 2}),
    (ConvNextImageProcessorPil, {"size": {"shortest_edge": 384}, "crop_pct": 0.875, "resample": 3}),
    (BitImageProcessorPil, {"size": {"shortest_edge": 256}, "crop_size": 224, "resample": 2}),
    (ViTImageProcessorPil, {"size": {"height": 160, "width": 160}, "resample": 2}),
    (ViTImageProcessorPil, {"size": {"height": 160, "width": 160}, "resample": 3, "rescale_factor": 0.01}),
    (ViTImageProcessorPil, {"size": {"height": 64, "width": 64}, "resample": 2, "do_normalize": False}),
]


@pytest.mark.parametrize(("kind", "fields"), PROCESSORS)
def test_photos_are_prepared_alike(kind: Any, fields: dict[str, Any], tmp_path: Path) -> None:
    processor = kind(**COLOURS, **fields)
    found = said(processor, tmp_path)
    assert found is not None
    assert_same_pixels(processor, found)


def test_the_published_processor_of_resnet_50() -> None:
    found = rule(
        '{"crop_pct": 0.875, "do_normalize": true, "do_resize": true, "resample": 3, "size": 224, '
        '"feature_extractor_type": "ConvNextFeatureExtractor", '
        '"image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]}'
    )
    assert found == Preprocessing(interpolation="bicubic")


@pytest.mark.parametrize(
    "changes",
    [
        {"resample": 1},
        {"resample": None},
        {"do_resize": False},
        {"size": {"shortest_edge": 224, "longest_edge": 300}},
        {"size": {"shortest_edge": "large"}},
        {"crop_pct": "all"},
        {"crop_pct": 1e-320},
        {"do_center_crop": True, "crop_size": 200},
        {"do_center_crop": True, "crop_size": {"height": 224, "width": 200}},
        {"image_mean": 0.5},
        {"image_std": [0, 1, 1]},
        {"image_processor_type": "LevitImageProcessor"},
        {"image_processor_type": "BitImageProcessor"},
        {"image_processor_type": "ViTImageProcessor"},
        {"image_processor_type": None},
        {"do_pad": True},
    ],
)
def test_a_preparation_that_has_no_words_here_is_not_known(changes: dict[str, Any]) -> None:
    usual = {"image_processor_type": "ConvNextImageProcessor", "size": {"shortest_edge": 224}, "resample": 3}
    assert rule(json.dumps(usual | COLOURS)) is not None
    assert rule(json.dumps(usual | COLOURS | changes)) is None


RULES = [
    Preprocessing(interpolation="bicubic"),
    Preprocessing(size=300, resize=400, scale=1.0, mean=(9.0, 8.0, 7.0), std=(50.0, 60.0, 70.0)),
    Preprocessing(rule="squash", size=96),
]


@pytest.mark.parametrize("wanted", RULES)
def test_their_processor_does_what_our_rule_says(wanted: Preprocessing, small: Path, tmp_path: Path) -> None:
    folder = stored(converted(small), tmp_path / "new", preprocessing=wanted)
    kind = ViTImageProcessorPil if wanted.rule == "squash" else BitImageProcessorPil
    assert_same_pixels(kind.from_pretrained(folder), wanted)
    assert HuggingFace().metadata(read_source(folder))[1] == wanted


@pytest.mark.parametrize("fields", [{"rule": "letterbox"}, {"channels": "bgr"}, {"antialias": False}])
def test_a_rule_that_they_have_no_words_for_is_not_written(
    fields: dict[str, Any], small: Path, tmp_path: Path
) -> None:
    folder = stored(converted(small), tmp_path / "new", preprocessing=Preprocessing(**fields))
    assert not (folder / "preprocessor_config.json").exists()
