"""System calls of a Python program, recorded or made to fail with strace."""

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest


def _can_trace() -> bool:
    if not shutil.which("strace"):
        return False
    command = ["strace", "-o", os.devnull, "true"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


needs_strace = pytest.mark.skipif(not _can_trace(), reason="strace is not installed, or may not trace here")

CALL = re.compile(r"\d+ +(\w+)\((.*)\) += (\d+)(?:<.*>)?$")
QUOTED, OPEN = re.compile(r'"((?:\\x[0-9a-f]{2})*)"'), re.compile(r"\d<((?:\\x[0-9a-f]{2})*)>")


def run_traced(code: str, *arguments: object, options: tuple[str, ...]) -> str:
    """Run Python under strace, and return what it prints."""
    command = ["strace", "-f", "--seccomp-bpf", *options, sys.executable, "-c", code, *map(str, arguments)]
    environment = os.environ | {"PYTHONDONTWRITEBYTECODE": "1", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


@dataclass(frozen=True)
class Call:
    """A system call that succeeded: what it is about, what it wrote or renamed to, and where it wrote."""

    kind: str
    path: str
    content: bytes = b""
    at: int = 0


def recorded(code: str, folder: Path, log: Path) -> list[Call]:
    """Run Python, and return what it did to a folder: create, write, sync, rename, unlink, in this order."""
    traced = "openat,write,pwrite64,writev,lseek,ftruncate,fsync,fdatasync,/^rename,/^unlink"
    run_traced(code, folder, options=("-y", "-xx", "-s", "1000000", "-e", f"trace={traced}", "-o", str(log)))
    places: dict[str, int] = {}
    calls = (_call(line, places) for line in log.read_text().splitlines())
    return [call for call in calls if call and call.path.startswith(str(folder))]


def _call(line: str, places: dict[str, int]) -> Call | None:
    """Read a line of strace's; `places` are the files' positions."""
    found = CALL.match(line)
    if not found:
        return None
    name, arguments, result = found[1], found[2], int(found[3])
    quoted, opened = _texts(QUOTED, arguments), _texts(OPEN, arguments)
    path = os.fsdecode((opened or quoted)[0] if name != "openat" else quoted[0])
    if name == "openat":
        places[path] = 0
        return Call("create", path) if "O_CREAT" in arguments else None
    if name == "lseek":
        places[path] = result
        return None
    if name == "write":
        at, places[path] = places.get(path, 0), places.get(path, 0) + result
        return Call("write", path, quoted[0][:result], at)
    if name in ("fsync", "fdatasync"):
        return Call("sync", path)
    assert name.startswith(("rename", "unlink")), f"the model of the disk does not know {line}"
    return Call(name[:6], path, quoted[-1])


def _texts(kind: re.Pattern[str], arguments: str) -> list[bytes]:
    return [bytes.fromhex(text.replace("\\x", "")) for text in kind.findall(arguments)]
