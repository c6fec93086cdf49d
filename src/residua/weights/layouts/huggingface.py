"""The layout of Hugging Face's `ResNetForImageClassification`: a folder whose configuration says it all."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal

from torch import Tensor

from residua.errors import UserError
from residua.files import new_folder
from residua.nets.plan import Plan
from residua.nets.spec import EXPANSION, AnySpec, Spec
from residua.nets.values import checked
from residua.nets.zoo import spec
from residua.weights.layouts.base import Layout, Tensors, inference
from residua.weights.metadata import ClassEntry, Metadata, Preprocessing
from residua.weights.sources import Source
from residua.weights.tensorfile import write_tensors

ARCHITECTURE = "ResNetForImageClassification"
OUTSIDE = {
    "conv1": "resnet.embedder.embedder.convolution",
    "bn1": "resnet.embedder.embedder.normalization",
    "fc": "classifier.1",
}
CONFIG: dict[str, tuple[Any, Any]] = {  # the values that Residua can express, and what stands for no value
    "model_type": (Literal["resnet"], None),
    "hidden_act": (Literal["relu"], "relu"),
    "layer_type": (Literal["basic", "bottleneck"], "bottleneck"),
    "num_channels": (int, 3),
    "embedding_size": (int, 64),
    "hidden_sizes": (tuple[int, ...], (256, 512, 1024, 2048)),
    "depths": (tuple[int, ...], (3, 4, 6, 3)),
    "downsample_in_first_stage": (bool, False),
    "downsample_in_bottleneck": (bool, False),
    "num_labels": (int, 2),
}
FIELDS = ("unit", "units", "widths", "stem_width", "stride_place", "num_classes", "in_channels")
PROCESSORS = {"ConvNext": "cropped", "Bit": "shortest", "CLIP": "shortest", "ViT": "square"}  # by "size": 224
RESAMPLE: dict[int, str] = {0: "nearest", 2: "bilinear", 3: "bicubic"}  # Pillow's numbers


class HuggingFace(Layout):
    """The folder that `save_pretrained` writes and `from_pretrained` reads."""

    name = "huggingface"
    members: ClassVar[tuple[str, ...]] = ("resnet[0-9][0-9]", "resnet[0-9][0-9][0-9]", "resnet[0-9]*_v1")

    def layer_name(self, ours: str, plan: Plan) -> str:
        """Everything counts from 0."""
        del plan
        unit = re.fullmatch(r"layer(\d+)\.(\d+)\.(conv|bn|downsample\.)(\d)", ours)
        if not unit:
            return OUTSIDE.get(ours, ours)
        stage, index, kind, number = int(unit[1]) - 1, unit[2], unit[3], int(unit[4])
        step = "shortcut" if kind == "downsample." else f"layer.{number - 1}"
        normed = kind == "bn" or (step == "shortcut" and number == 1)
        part = "normalization" if normed else "convolution"
        return f"resnet.encoder.stages.{stage}.layers.{index}.{step}.{part}"

    def candidates(self, tensors: Tensors, config: Any = None) -> Iterator[AnySpec]:
        """The one network of the configuration; without one, all that have such names."""
        if not config:
            yield from super().candidates(tensors)
        elif "model_type" in config:  # others' folders have none
            try:
                yield _named(_described(config, len(tensors)))
            except UserError as error:
                raise UserError(f"config.json: {error}") from None

    def expresses(self, network: AnySpec) -> bool:
        """Whatever differs from the usual only in what a configuration can say."""
        said: dict[str, Any] = {name: getattr(network, name, None) for name in FIELDS}
        return isinstance(network, Spec) and inference(network) == Spec(**said)

    def metadata(self, source: Source) -> tuple[tuple[ClassEntry, ...] | None, Preprocessing | None]:
        """Return the labels, and what the image processor does."""
        return _classes(source.config), _preprocessing(source.preprocessor)

    def store(self, path: Path, tensors: dict[str, Tensor], metadata: Metadata) -> None:
        """Write the folder."""
        with new_folder(path) as folder:
            _write_json(folder / "config.json", _config(metadata))
            if processor := _processor(metadata.preprocessing):
                _write_json(folder / "preprocessor_config.json", processor)
            write_tensors(folder / "model.safetensors", tensors)


def _described(config: Mapping[str, Any], count: int) -> Spec:
    """Return the network that a configuration of `count` tensors describes."""
    given = {name: value for name, value in config.items() if value is not None}
    architecture = checked("architectures", given.get("architectures", [ARCHITECTURE]), tuple[str, ...])
    if architecture != (ARCHITECTURE,):
        raise UserError(f"architectures={list(architecture)} is not valid: valid is {[ARCHITECTURE]}.")
    said = {name: checked(name, given.get(name, usual), hint) for name, (hint, usual) in CONFIG.items()}
    if said["downsample_in_first_stage"]:
        raise UserError("downsample_in_first_stage=True is not valid: valid is False.")
    expansion = EXPANSION[said["layer_type"]]
    if any(size % expansion for size in said["hidden_sizes"]):
        raise UserError(f"hidden_sizes={said['hidden_sizes']} is not valid: {expansion} must divide them.")
    if sum(said["depths"]) > count:  # nothing is planned beyond the file
        raise UserError(f"depths={said['depths']} is not valid for a file of {count} tensors.")
    labels = given.get("id2label")
    stride_place: Literal["1x1", "3x3"] | None = None
    if said["layer_type"] == "bottleneck":
        stride_place = "1x1" if said["downsample_in_bottleneck"] else "3x3"
    return Spec(
        unit=said["layer_type"],
        units=said["depths"],
        widths=tuple(size // expansion for size in said["hidden_sizes"]),
        stem_width=said["embedding_size"],
        stride_place=stride_place,
        num_classes=len(labels) if isinstance(labels, dict) else said["num_labels"],
        in_channels=said["num_channels"],
    )


def _named(network: Spec) -> Spec:
    """Give a network the name that it has in the zoo."""
    heads = {"num_classes": network.num_classes, "in_channels": network.in_channels}
    same = (name for name in HuggingFace().names() if spec(name, **heads) == network)
    return network.edit(name=next(same, ""))


def _config(metadata: Metadata) -> dict[str, Any]:
    network = metadata.spec
    assert isinstance(network, Spec)  # noqa: S101 - `expresses` holds
    labels = [entry.name for entry in metadata.classes or ()] or [
        f"LABEL_{place}" for place in range(network.num_classes)
    ]
    return {
        "architectures": [ARCHITECTURE],
        "model_type": "resnet",
        "num_channels": network.in_channels,
        "embedding_size": network.stem_width,
        "hidden_sizes": [width * EXPANSION[network.unit] for width in network.widths],
        "depths": list(network.units),
        "layer_type": network.unit,
        "hidden_act": "relu",
        "downsample_in_first_stage": False,
        "downsample_in_bottleneck": network.stride_place == "1x1",
        "id2label": {str(place): label for place, label in enumerate(labels)},
        "label2id": {label: place for place, label in enumerate(labels)},
    }


def _classes(config: Mapping[str, Any]) -> tuple[ClassEntry, ...] | None:
    """Labels in the order of the outputs, unless they are what the library makes up."""
    labels = config.get("id2label")
    if not isinstance(labels, dict):
        return None
    names = [str(labels.get(str(place), f"LABEL_{place}")) for place in range(len(labels))]
    if any(name == f"LABEL_{place}" for place, name in enumerate(names)):
        return None
    counts = Counter(names)  # ImageNet has two kinds of crane
    return tuple(
        ClassEntry(id=name if counts[name] == 1 else f"{name} ({place})", name=name)
        for place, name in enumerate(names)
    )


def _preprocessing(said: Mapping[str, Any]) -> Preprocessing | None:
    """Return what an image processor does, where a `Preprocessing` can say it."""
    try:
        return Preprocessing(**_square(said), **_values(said))
    except (LookupError, TypeError, ValueError, ArithmeticError):  # something else than those below
        return None


def _square(said: Mapping[str, Any]) -> dict[str, Any]:
    """Return how a photo becomes a square."""
    kind = PROCESSORS[re.sub("(ImageProcessor|FeatureExtractor).*", "", _type(said))]
    if said.get("do_resize") is False or said.get("do_pad"):
        raise ValueError(said)
    resize, side = _edges(said["size"], kind == "square")
    size = _edges(said["crop_size"], True)[1] if said.get("do_center_crop") else None
    if kind == "cropped":
        resize, side, size = _cropped(resize, size, said.get("crop_pct") or 224 / 256)
    if side is not None and size in (None, side):
        return {"rule": "squash", "size": side}
    return {"rule": "crop", "size": size, "resize": resize}


def _cropped(edge: int, size: int | None, part: float) -> tuple[int | None, int | None, int | None]:
    """Return what ConvNeXT's processor does: it crops by itself, but from 384 pixels on it squashes."""
    if edge >= 384:
        return None, edge, size
    if size not in (None, edge):
        raise ValueError(size)
    return int(edge / part), None, edge


def _type(said: Mapping[str, Any]) -> str:
    return str(said.get("image_processor_type") or said["feature_extractor_type"])


def _edges(size: Any, square: bool) -> tuple[Any, Any]:
    """Return the length of the shorter edge, or the side of a square."""
    if isinstance(size, int):
        return (None, size) if square else (size, None)
    if set(size) == {"shortest_edge"}:
        return size["shortest_edge"], None
    height, width = size["height"], size["width"]
    if height != width:
        raise ValueError(size)
    return None, height


def _values(said: Mapping[str, Any]) -> dict[str, Any]:
    """Return what happens to the pixels."""
    values: dict[str, Any] = {"interpolation": RESAMPLE[said["resample"]]}
    values["scale"] = said.get("rescale_factor", 1 / 255) if said.get("do_rescale", True) else 1.0
    if said.get("do_normalize", True):
        return values | {"mean": said["image_mean"], "std": said["image_std"]}
    return values | {"mean": (0.0,) * 3, "std": (1.0,) * 3}


def _processor(rule: Preprocessing | None) -> dict[str, Any] | None:
    """Return the configuration of an image processor that does the same, if there is one."""
    if rule is None or rule.rule == "letterbox" or rule.channels != "rgb":
        return None
    if not rule.antialias and rule.interpolation != "nearest":
        return None
    square = {"height": rule.size, "width": rule.size}
    crop = {"size": {"shortest_edge": rule.resize}, "do_center_crop": True, "crop_size": square}
    shape = {"image_processor_type": "BitImageProcessor", **crop}
    if rule.rule == "squash":
        shape = {"image_processor_type": "ViTImageProcessor", "size": square}
    numbers = {name: number for number, name in RESAMPLE.items()}
    return {
        **shape,
        "do_resize": True,
        "resample": numbers[rule.interpolation],
        "do_rescale": True,
        "rescale_factor": rule.scale,
        "do_normalize": True,
        "image_mean": list(rule.mean),
        "image_std": list(rule.std),
    }


def _write_json(path: Path, data: dict[str, Any]) -> None:
    path.write_text(json.dumps(data, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
