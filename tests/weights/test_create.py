"""Networks with published weights, in one call."""

from pathlib import Path
from typing import Any

import pytest
import torch

import residua
from residua import UserError
from residua.weights import published as table
from residua.weights.cache import file_sha256
from residua.weights.conversion import Asked, convert
from residua.weights.layouts import LAYOUTS
from residua.weights.metadata import Metadata


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A file of our own in the place of torchvision's resnet18, at a file:// address."""
    torch.manual_seed(0)
    network = residua.create("resnet18")
    path = tmp_path / "resnet18.pth"
    torch.save(network.state_dict(), path)
    entry = table.published("resnet18")

    class StandIn(table.Published):
        url = path.as_uri()

    listed = StandIn(**{**vars(entry), "sha256": file_sha256(path)[:8]})
    monkeypatch.setattr(table, "published", lambda name, version=None: listed)  # noqa: ARG005
    monkeypatch.setattr(table, "_ALL", (listed,))
    return network, path


def test_published_weights_by_name(stand_in: Any) -> None:
    network, _ = stand_in
    loaded = residua.create("resnet18", weights="imagenet")
    ours, theirs = network.state_dict(), loaded.state_dict()
    assert all(torch.equal(ours[key], theirs[key]) for key in ours)


def test_another_classifier_and_other_channels(stand_in: Any) -> None:
    network, path = stand_in
    loaded = residua.create("resnet18", weights=str(path), num_classes=5, in_channels=1, stochastic_depth=0.1)
    assert loaded.fc.weight.shape == (5, 512)
    expected = network.state_dict()["conv1.weight"].sum(1, keepdim=True)
    assert torch.equal(loaded.state_dict()["conv1.weight"], expected)
    assert torch.equal(
        loaded.state_dict()["layer4.1.conv2.weight"], network.state_dict()["layer4.1.conv2.weight"]
    )


def test_weights_that_do_not_fit_are_said(stand_in: Any) -> None:
    _, path = stand_in
    with pytest.raises(UserError, match="do not fit resnet18 squeeze_excitation=16"):
        residua.create("resnet18", weights=str(path), squeeze_excitation=16)
    with pytest.raises(UserError, match="nearest to resnet34"):
        residua.create("resnet34", weights=str(path))


def test_a_published_file_is_known_by_its_hash(stand_in: Any, tmp_path: Path) -> None:
    """Whatever it is called and wherever it came from: classes, preprocessing, accuracy."""
    _, path = stand_in
    renamed = path.rename(tmp_path / "my_weights.pth")
    convert(str(renamed), tmp_path / "m.safetensors", Asked())
    model = residua.load(tmp_path / "m.safetensors")
    assert model.classes is not None and model.classes[0].id == "n01440764"
    assert model.preprocessing is not None and model.preprocessing.resize == 256
    assert model.metadata.accuracy is not None and model.metadata.accuracy.top1 == 69.758
    convert(str(renamed), tmp_path / "five.safetensors", Asked(num_classes=5))
    replaced = residua.load(tmp_path / "five.safetensors")
    assert replaced.classes is None and replaced.metadata.accuracy is None


def test_offline_names_the_address_and_the_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RESIDUA_CACHE", str(tmp_path))
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    with pytest.raises(UserError) as error:
        residua.create("resnet18", weights="imagenet")
    assert "https://download.pytorch.org/models/resnet18-f37072fd.pth" in str(error.value)
    assert str(tmp_path / "resnet18-f37072fd.pth") in str(error.value)


@pytest.mark.parametrize(
    ("name", "weights", "sentence"),
    [
        ("cifar_resnet20", "imagenet", "cifar_resnet20"),
        ("resnet18", "imagenet-v2", "V1"),
        ("resnet18", "nowhere.pth", "nowhere.pth does not exist"),
    ],
)
def test_weights_that_nobody_published(name: str, weights: str, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        residua.create(name, weights=weights)


def test_a_folder_says_itself_which_network_it_is(tmp_path: Path) -> None:
    """Hugging Face's config.json states the stride's place, which no tensor shows."""
    network = residua.create("resnet50_v1", num_classes=3)
    layout = LAYOUTS["huggingface"]
    tensors = layout.write(network.spec, network.state_dict())
    layout.store(tmp_path / "folder", tensors, Metadata(spec=network.spec))
    loaded = residua.create("resnet50_v1", weights=str(tmp_path / "folder"), num_classes=3)
    assert all(
        torch.equal(loaded.state_dict()[k], v) for k, v in network.state_dict().items() if "num" not in k
    )
    with pytest.raises(UserError, match="is resnet50_v1 num_classes=3, not resnet50 num_classes=3"):
        residua.create("resnet50", weights=str(tmp_path / "folder"), num_classes=3)
