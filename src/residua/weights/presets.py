"""Preprocessing that libraries do by habit, by name."""

from __future__ import annotations

from pathlib import Path

from residua.errors import UserError
from residua.weights.metadata import Preprocessing
from residua.weights.sources import read_json

CAFFE_BGR = (103.939, 116.779, 123.68)

PRESETS: dict[str, Preprocessing] = {
    "imagenet": Preprocessing(),
    "imagenet-v2": Preprocessing(resize=232),
    "keras-v1": Preprocessing(rule="squash", channels="bgr", scale=1.0, mean=CAFFE_BGR, std=(1.0,) * 3),
    "keras-v2": Preprocessing(rule="squash", scale=1 / 127.5, mean=(1.0,) * 3, std=(1.0,) * 3),
    "slim-v1": Preprocessing(scale=1.0, mean=(123.68, 116.78, 103.94), std=(1.0,) * 3),
    "slim-v2": Preprocessing(size=299, resize=342, scale=1 / 127.5, mean=(1.0,) * 3, std=(1.0,) * 3),
    "cifar": Preprocessing(size=32, resize=32),
}


def preset(name: str) -> Preprocessing:
    """Return a preset by name, or what a JSON file of its fields says."""
    if name in PRESETS:
        return PRESETS[name]
    path = Path(name)
    if len(name) > 4000 or not path.is_file():
        raise UserError(
            f"unknown preprocessing {name!r}: name one of {', '.join(PRESETS)}, or a JSON file of its fields."
        )
    try:
        return Preprocessing.from_json(read_json(path))
    except UserError as error:
        raise UserError(f"{path} is no preprocessing: {error}") from None
