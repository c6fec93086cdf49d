"""System calls of a program, recorded or made to fail with strace."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from faults.outcome import must
from faults.process import ENVIRONMENT, LIMIT

RECORDED = "openat,write,pwrite64,writev,lseek,ftruncate,fsync,fdatasync,/^rename,/^unlink"
CALL = re.compile(r"\d+ +(\w+)\((.*)\) += (\d+)(?:<.*>)?$")
QUOTED, OPEN = re.compile(r'"((?:\\x[0-9a-f]{2})*)"'), re.compile(r"\d<((?:\\x[0-9a-f]{2})*)>")
KINDS = ("create", "empty", "write", "cut", "sync", "rename", "unlink")


def can_trace() -> bool:
    """Whether there is strace, and it may trace."""
    if not shutil.which("strace"):
        return False
    command = ["strace", "-o", os.devnull, "true"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def run_traced(arguments: Sequence[object], options: Sequence[str]) -> str:
    """Run Python under strace, and return what it prints."""
    command = ["strace", "-f", "--seccomp-bpf", *options, sys.executable, *map(str, arguments)]
    done = subprocess.run(
        command, capture_output=True, text=True, env=os.environ | ENVIRONMENT, timeout=LIMIT, check=False
    )
    must(done.returncode == 0, done.stderr[-2000:])
    return done.stdout


@dataclass(frozen=True)
class Call:
    """A system call that succeeded: what it is about, what it wrote or renamed to, and where it wrote."""

    kind: str
    path: str
    content: bytes = b""
    at: int = 0  # below 0: at the end


def recorded(arguments: Sequence[object], folder: Path, log: Path) -> list[Call]:
    """Run Python, and return in order what it did to the files in a folder, but for locks."""
    options = ("-y", "-xx", "-s", "100000000", "-e", f"trace={RECORDED}", "-o", str(log))
    run_traced(arguments, options)
    places: dict[str, int] = {}
    calls = (_call(line, places) for line in _joined(log.read_text().splitlines()))
    own = [call for call in calls if call and call.path.startswith(str(folder))]
    own = [call for call in own if not call.path.endswith(".lock")]
    odd = {call.kind for call in own} - set(KINDS)
    must(not odd, f"the model of the disk does not know {odd}")
    return own


def _joined(lines: Iterable[str]) -> Iterator[str]:
    """Put calls together that strace saw in two pieces, as another thread made one meanwhile."""
    begun: dict[str, str] = {}
    for line in lines:
        thread = line.split(maxsplit=1)[0]
        if line.endswith("<unfinished ...>"):
            begun[thread] = line.removesuffix("<unfinished ...>")
        elif " resumed>" in line:
            yield begun.pop(thread, "") + line.partition(" resumed>")[2]
        else:
            yield line


def _call(line: str, places: dict[str, int]) -> Call | None:
    """Read a line of strace's; `places` are the files' positions."""
    found = CALL.match(line)
    if not found:
        return None
    name, arguments, result = found[1], found[2], int(found[3])
    quoted, opened = _texts(QUOTED, arguments), _texts(OPEN, arguments)
    path = os.fsdecode((opened or quoted)[0] if name != "openat" else quoted[0])
    if name == "openat":
        places[path] = -1 if "O_APPEND" in arguments else 0
        kind = "empty" if "O_TRUNC" in arguments else "create"
        return Call(kind, path) if "O_CREAT" in arguments else None
    if name == "lseek":
        places[path] = result if places.get(path, 0) >= 0 else -1
        return None
    if name == "write":
        at = places.get(path, 0)
        places[path] = at + result if at >= 0 else at
        return Call("write", path, quoted[0][:result], at)
    if name == "ftruncate":
        return Call("cut", path, at=int(arguments.rpartition(", ")[2]))
    if name in ("fsync", "fdatasync"):
        return Call("sync", path)
    return Call(name[:6], path, quoted[-1] if quoted else b"")


def _texts(kind: re.Pattern[str], arguments: str) -> list[bytes]:
    return [bytes.fromhex(text.replace("\\x", "")) for text in kind.findall(arguments)]
