"""Files are predicted in order, each by itself, with bounded memory, whatever is among them."""

import os
import re
import threading
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import residua
from residua import UserError
from residua.data.loading.loader import Loader
from residua.data.sources.recognition import open_data
from residua.judging.model import Model
from residua.judging.predicting.prediction import FileResult, Prediction
from residua.weights.metadata import ClassEntry, Metadata, Preprocessing

NAMES = ("cat", "dog", "bird")


def made(rule: Preprocessing, seed: int = 0) -> Model:
    torch.manual_seed(seed)
    channels = len(rule.mean)
    network = residua.create(
        "tiny_resnet", num_classes=3, in_channels=channels, units=(1, 1, 1), widths=(4, 4, 4), stem_width=4
    )
    classes = tuple(ClassEntry(id=name[0], name=name) for name in NAMES)
    return Model(network.eval(), Metadata(spec=network.spec, classes=classes, preprocessing=rule))


@pytest.fixture
def model() -> Model:
    return made(Preprocessing(size=8, resize=10))


def photos(folder: Path, count: int, seed: int = 0) -> list[Path]:
    """Photos of noise in several sizes."""
    random = np.random.default_rng(seed)
    files = [folder / f"{place:03}.{'jpg' if place % 2 else 'png'}" for place in range(count)]
    folder.mkdir(parents=True, exist_ok=True)
    for file in files:
        height, width = random.integers(9, 60, 2)
        Image.fromarray(random.integers(0, 256, (height, width, 3), np.uint8)).save(file)
    return files


def close(one: Any, other: Any) -> bool:
    """Whether two say the same, but for the last digits, which depend on the batch."""
    pairs = zip(one.top, other.top, strict=True)
    return all(
        a.label == b.label and a.probability == pytest.approx(b.probability, abs=1e-5) for a, b in pairs
    )


@pytest.mark.parametrize(
    "rule",
    [
        Preprocessing(size=8, resize=10),
        Preprocessing(size=8, rule="letterbox", interpolation="bicubic"),
        Preprocessing(size=8, rule="squash", channels="gray", mean=(0.4,), std=(0.2,)),
        Preprocessing(
            size=8, resize=8, channels="bgr", scale=1.0, mean=(103.0, 116.0, 123.0), std=(1.0, 1.0, 1.0)
        ),
    ],
)
def test_files_are_predicted_as_judging_sees_them(rule: Preprocessing, tmp_path: Path) -> None:
    """The same picture as a file, in a folder, in memory and by the loader: the same answer."""
    files = [*photos(tmp_path / "a", 3), *photos(tmp_path / "b", 2, seed=1)]
    model = made(rule)
    data = open_data(tmp_path)
    (batch,) = Loader(data, np.arange(len(data)), rule, 8).epoch(0)
    for place, found in enumerate(model.predict(tmp_path)):
        assert found.path == str(files[place])
        assert close(found.prediction, model.predict(files[place]))
        pixels = data.read(place, "gray" if len(rule.mean) == 1 else "rgb", rule.resized)
        assert close(found.prediction, model.predict(pixels))
        assert close(found.prediction, model.predict(batch.inputs()[place]))


def test_bad_files_are_results_in_their_place(model: Model, tmp_path: Path) -> None:
    files = photos(tmp_path, 3)
    files[1].write_bytes(b"no picture")
    missing = tmp_path / "missing.png"
    os.mkfifo(tmp_path / "pipe")
    given: list[Any] = [files[0], missing, files[1], "a\0b", tmp_path / "pipe", files[2]]
    found = list(model.predict(given, top=2, batch=2))
    assert [each.path for each in found] == [os.fspath(path) for path in given]
    assert [each.error for each in found] == [
        "",
        "no such file or directory",
        "it is no JPEG, PNG, WebP, GIF, BMP, TIFF or binary PNM",
        "embedded null byte",
        "it is no regular file",
        "",
    ]
    assert found[1] == FileResult(str(missing), error="no such file or directory")
    assert close(found[5].prediction, model.predict(files[2], top=2))
    assert found[1].as_json() == {"path": str(missing), "error": "no such file or directory"}
    said = found[0].as_json()
    assert list(said) == ["path", "label", "id", "probability", "top"] and len(said["top"]) == 2
    assert said["top"][0] == {key: said[key] for key in ("label", "id", "probability")}


def test_an_answer_that_is_no_number_is_a_result(model: Model, tmp_path: Path) -> None:
    """A network of which a white picture makes no number, answers the others all the same."""
    files = photos(tmp_path, 2)
    white = tmp_path / "white.png"
    Image.new("RGB", (9, 9), "white").save(white)

    def blinded(_: Any, inputs: Any, logits: torch.Tensor) -> torch.Tensor:
        flat = inputs[0].flatten(1)
        return logits.masked_fill((flat.min(1).values > 1)[:, None], torch.nan)

    model.network.register_forward_hook(blinded)
    found = list(model.predict([files[0], white, files[1]]))
    assert [each.error for each in found] == ["", "the network's answer is no number", ""]
    assert found[0].prediction and found[2].prediction and found[1].prediction is None
    with pytest.raises(UserError, match=r"white\.png' cannot be predicted: .* is no number"):
        model.predict(white)
    with pytest.raises(UserError, match="answer to this picture is no number"):
        residua.explain(model, white)


def test_an_empty_name_is_a_bad_file(model: Model) -> None:
    assert list(model.predict(["", ""])) == [FileResult("", error="its name is empty")] * 2
    with pytest.raises(UserError, match="'' cannot be read: its name is empty"):
        residua.explain(model, "")


def test_one_bad_file_alone_is_an_error(model: Model, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be read: no such file"):
        model.predict(tmp_path / "missing.jpg")


def test_folders_and_paths_may_be_mixed(model: Model, tmp_path: Path) -> None:
    one, two = photos(tmp_path / "one", 2), photos(tmp_path / "two" / "deep", 2, seed=1)
    paths = [found.path for found in model.predict(iter([str(two[1]), tmp_path / "one", tmp_path / "two"]))]
    assert paths == [str(path) for path in (two[1], *one, *two)]
    assert list(model.predict([tmp_path / "one" / ".."])) != [] and list(model.predict([])) == []


@pytest.mark.parametrize("workers", [0, 1, 3])
@pytest.mark.parametrize("batch", [1, 3, 64])
def test_neither_batch_nor_threads_change_anything(
    model: Model, tmp_path: Path, workers: int, batch: int
) -> None:
    files = photos(tmp_path, 7)
    found = list(model.predict(tmp_path, workers=workers, batch=batch))
    assert [each.path for each in found] == [str(file) for file in files]
    assert all(close(each.prediction, model.predict(file)) for each, file in zip(found, files, strict=True))


def test_little_is_taken_ahead(model: Model, tmp_path: Path) -> None:
    """Of an endless row of files no more is asked for than two batches."""
    (file,) = photos(tmp_path, 1)
    asked = 0

    def endless() -> Iterator[Path]:
        nonlocal asked
        while True:
            asked += 1
            yield file

    results = model.predict(endless(), batch=4, workers=1)
    for count in range(1, 30):
        assert next(results).prediction
        assert asked <= count + 12
    results.close()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("residua")]


def test_memory_is_bounded(model: Model, tmp_path: Path) -> None:
    (file,) = photos(tmp_path, 1)

    def peak(count: int) -> int:
        tracemalloc.start()
        try:
            assert sum(1 for _ in model.predict((file for _ in range(count)), batch=4, workers=1)) == count
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak(10)  # what is made once
    assert peak(120) < 1.5 * peak(30)


def test_what_the_paths_raise_is_raised(model: Model, tmp_path: Path) -> None:
    def broken() -> Iterator[Path]:
        yield from photos(tmp_path, 1)
        raise RuntimeError("the disk is gone")

    with pytest.raises(RuntimeError, match="the disk is gone"):
        list(model.predict(broken()))
    with pytest.raises(UserError, match="expected paths of pictures or folders, not a Tensor"):
        list(model.predict(iter([torch.zeros(3, 8, 8)])))


def test_between_results_nothing_is_switched(model: Model, tmp_path: Path) -> None:
    """A consumer may train between two results: gradients and the network's mode are its own."""
    photos(tmp_path, 3)
    model.network.train()
    for found in model.predict(tmp_path, batch=1):
        assert found.prediction and model.network.training
        assert torch.is_grad_enabled() and not torch.is_inference_mode_enabled()


def test_a_file_is_a_prediction(model: Model, tmp_path: Path) -> None:
    (file,) = photos(tmp_path, 1)
    found = model.predict(str(file), top=1)
    assert isinstance(found, Prediction) and len(found.top) == 1


def test_the_python_of_the_document_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    document = Path(__file__).parents[2] / "docs" / "predict.md"
    blocks = re.findall(r"```python\n(.*?)```", document.read_text(), re.DOTALL)
    monkeypatch.chdir(tmp_path)
    residua.save(made(Preprocessing(size=8, resize=8)), "model.safetensors")
    photos(tmp_path / "photos", 2)[1].rename("photo.jpg")
    scope: dict[str, Any] = {"residua": residua, "pixels": np.zeros((9, 9, 3), np.uint8)}
    for block in blocks:
        exec(block, scope)  # noqa: S102 - our own document
    assert len(blocks) == 2 and (tmp_path / "dog.png").is_file()
