"""Nothing in a weights file is ever executed, and nothing makes the reader take memory or time."""

import io
import json
import os
import pickle
import struct
import subprocess
import sys
import tarfile
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

CANARY = "canary"


class Payload:
    """Runs a command when unpickled."""

    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        self.call = function, arguments

    def __reduce__(self) -> Any:
        return self.call


def touch(folder: Path) -> str:
    return f"touch {folder / CANARY}"


def by_system(folder: Path) -> Any:
    return {"state_dict": {"conv1.weight": Payload(os.system, touch(folder))}}


def by_eval(folder: Path) -> Any:
    return {"a": Payload(eval, f"open({str(folder / CANARY)!r}, 'w')")}


def by_import(folder: Path) -> Any:
    del folder
    return {"hyper_parameters": Payload(__import__, "antigravity"), "state_dict": {}}


def by_setattr(folder: Path) -> Any:
    del folder
    return OrderedDict(a=Payload(setattr, torch.Tensor, CANARY, 1))


PAYLOADS = {f.__name__: f for f in (by_system, by_eval, by_import, by_setattr)}


def payloads(folder: Path) -> None:
    """Each payload in a zip file, in an old-style file and as a bare pickle."""
    for name, payload in PAYLOADS.items():
        data = payload(folder)
        torch.save(data, folder / f"{name}.zipped.pth")
        torch.save(data, folder / f"{name}.old.pth", _use_new_zipfile_serialization=False)
        (folder / f"{name}.bare.pth").write_bytes(pickle.dumps(data, protocol=2))


def bombs(folder: Path) -> None:
    """Files that claim or unpack to much more than they are."""
    stored = io.BytesIO()
    torch.save({"conv1.weight": torch.zeros(128 << 20)}, stored)
    with (
        zipfile.ZipFile(stored) as whole,
        zipfile.ZipFile(folder / "bomb.pt", "w", zipfile.ZIP_DEFLATED) as small,
    ):
        for item in whole.infolist():
            small.writestr(item.filename, whole.read(item))
    torch.save({"conv1.weight": torch.zeros(1).expand(2**40)}, folder / "view.pt")
    torch.save({"a": torch.zeros(7)}, folder / "claim.pth", _use_new_zipfile_serialization=False)
    whole_claim = (folder / "claim.pth").read_bytes()
    claim = whole_claim.replace(b"K\x07", b"J\x00\x00\x00\x7f")  # 7 numbers become 2 billion
    assert claim != whole_claim
    (folder / "claim.pth").write_bytes(claim)
    (folder / "deep.pth").write_bytes(b"\x80\x02" + b"]" * 200_000 + b"a" * 199_999 + b".")


def word(text: str) -> bytes:
    return b"X" + struct.pack("<I", len(text)) + text.encode()


def called(module: str, name: str, arguments: bytes) -> bytes:
    return f"c{module}\n{name}\n".encode() + arguments + b"R"


def tricks(folder: Path) -> None:
    """Pickles that no program writes: what they make takes more than they show."""
    view = io.BytesIO()
    torch.save({"conv1.weight": torch.zeros(1).expand(2**30)}, view)
    with zipfile.ZipFile(view) as archive:
        numbers = archive.read(next(name for name in archive.namelist() if name.endswith("data/0")))
        (inner,) = [archive.read(name) for name in archive.namelist() if name.endswith("data.pkl")]
    hiding = called("collections", "OrderedDict", b")") + word("state_dict") + inner[2:-1] + b"s}"
    hiding += word("values") + called("collections", "OrderedDict", b")") + b"sb"
    tuples = b"".join(b"h%ch%c\x86q%c" % (n, n, n + 1) for n in range(34))
    for name, content in {
        "taken": b"}" + word("a") + called("__builtin__", "bytearray", b"(J\xff\xff\xff\x3ft") + b"s",
        "hidden": hiding,
        "doubled": b"}" + word("a") + b"q\x000" + tuples + b"h\x22K\x01s",
    }.items():
        with zipfile.ZipFile(folder / f"{name}.pth", "w") as archive:
            archive.writestr("archive/data.pkl", b"\x80\x02" + content + b".")
            archive.writestr("archive/data/0", numbers)
            archive.writestr("archive/version", "3\n")
    bomb = (folder / "bomb.pt").read_bytes()
    with zipfile.ZipFile(folder / "bomb.pt") as archive:
        start, names = archive.start_dir, archive.namelist()
    decoy = io.BytesIO(b"PK\x03\x04" + bytes(26))
    with zipfile.ZipFile(decoy, "w") as archive:
        for name in names:
            archive.writestr(name, b"")
        begins = archive.fp.tell() if archive.fp else 0
    directory = decoy.getvalue()[begins:-22]
    end = bytearray(bomb[-22:])
    end[12:20] = struct.pack("<LL", len(directory), start)
    (folder / "two directories.pth").write_bytes(bomb[:-22] + directory + end)


def disguises(folder: Path) -> None:
    """Files that are something else, or only half there."""
    with tarfile.open(folder / "weights.pth.tar", "w") as archive:
        archive.addfile(tarfile.TarInfo("storages"))
    torch.save({"conv1.weight": torch.zeros(1000)}, folder / "whole.pth")
    whole = (folder / "whole.pth").read_bytes()
    for name, content in {
        "cut": whole[: len(whole) // 2],
        "cut at the end": whole[:-1],
        "empty": b"",
        "text": b"hello",
        "zip": b"PK\x03\x04" + bytes(99),
        "half": b"\x80\x02}q\x00",
    }.items():
        (folder / f"{name}.pth").write_bytes(content)
    for name, data in {
        "list": [1, 2],
        "epoch": {"epoch": 3},
        "nobody": {"state_dict": {}},
        "none": {},
    }.items():
        torch.save(data, folder / f"{name}.pth")
    (folder / "whole.pth").unlink()


READ = """
import json, re, sys, time, torch
from pathlib import Path
import residua
from residua.weights.convert import read

def memory(key):
    return int(re.search(key + r":\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) * 1024

for path in sorted(Path(sys.argv[1]).iterdir()):
    modules = set(sys.modules)
    Path("/proc/self/clear_refs").write_text("5")
    before, start = memory("VmRSS"), time.process_time()
    try:
        read(path)
    except residua.UserError as error:
        sentence = str(error)
    else:
        sentence = "READ"
    print(json.dumps({
        "file": path.name,
        "sentence": sentence,
        "seconds": time.process_time() - start,
        "grown": memory("VmHWM") - before - 2 * path.stat().st_size,
        "ran": hasattr(torch.Tensor, CANARY) or "antigravity" in sys.modules,
    }))
"""

Answers = dict[str, dict[str, Any]]


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> Answers:
    """What a process of its own says of every hostile file."""
    folder = tmp_path_factory.mktemp("hostile")
    payloads(folder)
    bombs(folder)
    tricks(folder)
    disguises(folder)
    code = READ.replace("CANARY", repr(CANARY))
    done = subprocess.run(
        [sys.executable, "-c", code, str(folder)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert not (folder / CANARY).exists(), "a payload ran"
    return {answer["file"]: answer for answer in map(json.loads, done.stdout.splitlines())}


def test_every_file_is_refused_in_one_sentence_with_little_memory_and_time(answers: Answers) -> None:
    assert len(answers) == 12 + 4 + 4 + 11
    for name, answer in answers.items():
        assert name in answer["sentence"] and "\n" not in answer["sentence"], answer
        assert not answer["ran"], answer
        assert answer["grown"] <= 50_000_000, answer
        assert answer["seconds"] <= 2, answer


@pytest.mark.parametrize("payload", PAYLOADS)
@pytest.mark.parametrize("form", ["zipped", "old", "bare"])
def test_payloads_are_named(payload: str, form: str, answers: Answers) -> None:
    sentence = answers[f"{payload}.{form}.pth"]["sentence"]
    assert "never runs code" in sentence or "not a PyTorch file" in sentence, sentence


def test_the_payloads_are_real(tmp_path: Path) -> None:
    """The same bytes do run where they are trusted, so that the tests above can fail."""
    pickle.loads(pickle.dumps(by_system(tmp_path), protocol=2))  # noqa: S301 - our own payload
    assert (tmp_path / CANARY).exists()


@pytest.mark.parametrize(
    ("file", "sentence"),
    [
        ("bomb.pt", "would unpack to"),
        ("view.pt", "claim more numbers"),
        ("taken.pth", "never runs code"),
        ("hidden.pth", "has attributes"),
        ("doubled.pth", "sized as no weights"),
        ("two directories.pth", "damaged archive"),
        ("weights.pth.tar", "not a PyTorch file"),
        ("empty.pth", "not a PyTorch file"),
        ("zip.pth", "damaged archive"),
        ("cut.pth", "damaged archive"),
        ("list.pth", "holds a list"),
        ("epoch.pth", "holds no weights"),
        ("nobody.pth", "holds no weights"),
        ("none.pth", "holds no weights"),
    ],
)
def test_the_reason_is_said(file: str, sentence: str, answers: Answers) -> None:
    assert sentence in answers[file]["sentence"]
