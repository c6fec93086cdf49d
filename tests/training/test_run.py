"""A run has a folder of its own, one process in it at a time, and is found again."""

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from residua.errors import UserError
from residua.files import BusyError
from residua.training.keeping.run import Run


def begun(base: Path, name: str, started: str) -> Path:
    """A run that was begun at a time, and left."""
    with Run.create(base, name) as run:
        run.begin({"seed": 1})
        environment = json.loads((run.folder / "env.json").read_text())
        run.write_json("env.json", environment | {"started": started})
        return run.folder


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_names_are_numbered_and_nothing_is_overwritten(tmp_path: Path) -> None:
    base = tmp_path / "runs" / "train"
    for _ in range(3):
        with Run.create(base, "photos") as run:
            run.begin({})
    (base / "other").write_text("mine")
    with Run.create(base, "other") as run:
        assert run.folder == base / "other-2" and run.state.is_dir()
    assert names(base) == {"photos", "photos-2", "photos-3", "other", "other-2"}
    assert names(base / "photos") == {"state", "config.yaml", "env.json"}


@pytest.mark.parametrize("name", ["", ".", "..", "../x", "a/b", ".hidden", "a b", "a" * 101, "a\n"])
def test_a_name_is_a_plain_word(name: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot name a run"):
        Run.create(tmp_path, name)
    assert not names(tmp_path)


def test_a_folder_of_ones_own_must_be_new_or_empty(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for name in ("empty", "deep/new"):
        with Run.create_at(tmp_path / name) as run:
            (run.folder / "note").write_text("mine")
        with pytest.raises(UserError, match=r"is not empty, and a run is never overwritten"):
            Run.create_at(tmp_path / name)
        assert names(tmp_path / name) == {".beginning", "state", "note"}
    (tmp_path / "file").write_text("mine")
    with pytest.raises(UserError, match="file is a file: name a folder"):
        Run.create_at(tmp_path / "file")
    with pytest.raises(UserError, match="file cannot be made: File exists"):
        Run.create_at(tmp_path / "file" / "run")
    with pytest.raises(UserError, match="file cannot be made: File exists"):
        Run.create(tmp_path / "file", "run")
    assert (tmp_path / "file").read_text() == "mine"


def test_what_a_run_began_with_comes_back(tmp_path: Path) -> None:
    settings = {"data": "photos", "spec": {"units": [2, 2]}, "lr": 1e-5, "limit": None}
    with Run.create(tmp_path, "a") as run:
        run.begin(settings)
    with Run.open(run.folder) as again:
        assert again.settings() == settings


def test_the_environment_says_what_matters_and_not_who(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_TOKEN", "hunter2")
    with Run.create(tmp_path, "a") as run:
        run.begin({})
    text = (run.folder / "env.json").read_text()
    found = json.loads(text)
    assert found["threads"] == 1 and found["python"] == sys.version.split()[0]
    assert found["libraries"]["torch"].startswith("2.")
    assert "hunter2" not in text and str(Path.home()) not in text and str(tmp_path) not in text


def test_any_name_survives_in_a_file_of_the_run(tmp_path: Path) -> None:
    classes = ["Bäume", "a\udcff\n", "\ud800", "=cmd"]
    with Run.create(tmp_path, "a") as run:
        run.write_json("classes.json", classes)
    text = (run.folder / "classes.json").read_text(encoding="utf-8")
    assert json.loads(text) == classes and "Bäume" in text


def test_a_run_is_open_to_one_and_names_who_has_it(tmp_path: Path) -> None:
    folder = begun(tmp_path, "a", "2026")
    with Run.open(folder):
        for enter in (Run.open, Run.create_at):
            with pytest.raises(BusyError, match=f"a is being used by process {os.getpid()}: wait for it"):
                enter(folder)
    Run.open(folder).close()
    assert ".lock" not in names(folder)


def test_opening_removes_what_a_killed_process_left(tmp_path: Path) -> None:
    folder = begun(tmp_path, "a", "2026")
    kept = {"best.safetensors", "mine.part", ".notes"}
    left = {".best.safetensors.0123abcd.part", ".7.safetensors.89abcdef.part"}
    for place in (folder, folder / "state"):
        for name in kept | left:
            (place / name).touch()
    Run.open(folder).close()
    assert names(folder / "state") == kept | {"began.json"}
    assert names(folder) == kept | {"state", "config.yaml", "env.json"}


def test_only_what_was_begun_can_be_opened(tmp_path: Path) -> None:
    Run.create(tmp_path, "a").close()
    with pytest.raises(UserError, match=r"a was ended before its training began, .*--out \S*a` begins it"):
        Run.open(tmp_path / "a")
    assert names(tmp_path / "a") == {"state", ".beginning"}
    (tmp_path / "a" / "note").touch()
    for folder in ("a", "none"):
        with pytest.raises(UserError, match=rf"{folder} is no run: it has no config\.yaml"):
            Run.open(tmp_path / folder)


def test_what_never_began_goes_and_nothing_else(tmp_path: Path) -> None:
    with Run.create_at(tmp_path / "run") as run:
        run.log("beginning")
        run.write_json("classes.json", [])
        (run.state / "0.safetensors").touch()
        for place in ("photos/a.png", "state/mine", "note"):
            (run.folder / place).parent.mkdir(exist_ok=True)
            (run.folder / place).write_text("mine")
        run.abandon(whole=True)
    assert names(run.folder) == {"photos", "state", "note"} and names(run.state) == {"mine"}
    assert (run.folder / "photos" / "a.png").read_text() == "mine"
    with Run.create_at(tmp_path / "other") as run:
        run.abandon(whole=True)
    assert not run.folder.exists()


def test_nobody_enters_while_what_never_began_goes(tmp_path: Path) -> None:
    with Run.create_at(tmp_path / "run") as run:
        run._clear()
        with pytest.raises(BusyError):
            Run.create_at(run.folder)


def test_the_newest_unfinished_run_is_found(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="none has no run to resume"):
        Run.newest_unfinished(tmp_path / "none")
    days = (("c", "03"), ("b", "02"), ("a", "01"))  # by a clock that goes back
    old, new, finished = (begun(tmp_path, name, day) for name, day in days)
    Run.create(tmp_path, "d").close()  # never begun
    os.utime(old / "config.yaml")  # touched last
    with Run.open(finished) as run:
        before = run.finished
        run.finish({"top1": 97.5})
        assert (before, run.finished, run.complete) == (False, True, False)
    with Run.newest_unfinished(tmp_path) as run:
        assert run.folder == finished  # it was killed within its report
        (finished / "report.html").touch()
        assert run.complete
        (finished / "report.html").unlink()
        (finished / "config.yaml").write_text("a: [")  # stands in nobody's way
    with Run.newest_unfinished(tmp_path) as run, Run.newest_unfinished(tmp_path) as other:
        assert (run.folder, other.folder) == (new, old)
        with pytest.raises(UserError, match=rf"no run to resume\. .*process {os.getpid()}"):
            Run.newest_unfinished(tmp_path)


def test_a_run_whose_environment_is_lost_is_found_too(tmp_path: Path) -> None:
    for name, content in (("a", None), ("b", "{"), ("c", "[]")):
        folder = begun(tmp_path / name, "x", "2026")
        (folder / "env.json").unlink()
        if content is not None:
            (folder / "env.json").write_text(content)
        with Run.newest_unfinished(tmp_path / name) as run:
            assert run.folder == folder


def test_the_log_grows_line_by_line(tmp_path: Path) -> None:
    with Run.create(tmp_path, "a") as run:
        run.log("first\nsecond")
        run.log("dritter \udcff")
    lines = (run.folder / "log.txt").read_text(encoding="utf-8").splitlines()
    assert [line[20:] for line in lines] == ["first", "second", "dritter \\udcff"]


# A hundred processes that wait for the same moment, start a run, tell, and hold it until their input ends.
STARTS = """
import os, sys
from pathlib import Path
from residua.errors import UserError
from residua.training.keeping.run import Run
assert "torch" not in sys.modules, "the lock must not wait for torch"
how, folder = sys.argv[1], Path(sys.argv[2])
gate, opened = os.pipe()

def start():
    os.close(opened)
    os.read(gate, 1)
    try:
        run = Run.create(folder, "run") if how == "named" else Run.create_at(folder)
        told = f"{os.getpid()} has {run.folder}"
    except UserError as error:
        told = f"{os.getpid()} {error}"
    os.write(1, f"{told}\\n".encode())
    os.read(0, 1)
    os._exit(0)

children = [os.fork() or start() for _ in range(100)]
os.close(opened)
for child in children:
    os.waitpid(child, 0)
"""


def starts(how: str, folder: Path) -> list[str]:
    command = [sys.executable, "-c", STARTS, how, str(folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        return [process.stdout.readline().rstrip("\n") for _ in range(100)]


def test_of_a_hundred_simultaneous_starts_each_gets_a_folder(tmp_path: Path) -> None:
    told = starts("named", tmp_path)
    folders = {line.split(" has ")[-1] for line in told}
    assert folders == {str(tmp_path / name) for name in ("run", *(f"run-{n}" for n in range(2, 101)))}


def test_of_a_hundred_starts_in_one_folder_one_wins(tmp_path: Path) -> None:
    told = starts("one", tmp_path / "run")
    (winner,) = [line.split()[0] for line in told if " has " in line]
    sentences = Counter(line.split(maxsplit=1)[1] for line in told if " has " not in line)
    busy = f"{tmp_path / 'run'} is being used by process {winner}: wait for it, or stop it."
    assert sentences == {busy: 99}


HOLDING = """
import sys
from pathlib import Path
from residua.training.keeping.run import Run
run = Run.open(Path(sys.argv[1]))
print("held", flush=True)
sys.stdin.read()
"""


def test_the_lock_of_a_killed_process_is_free(tmp_path: Path) -> None:
    folder = begun(tmp_path, "a", "2026")
    command = [sys.executable, "-c", HOLDING, str(folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout and process.stdout.readline() == "held\n"
        with pytest.raises(BusyError, match=f"by process {process.pid}:"):
            Run.open(folder)
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert ".lock" in names(folder)
    Run.open(folder).close()
    assert ".lock" not in names(folder)


BEGINNING = """
import os, signal, sys
from pathlib import Path
from residua.training.keeping.run import Run
run = Run.create_at(Path(sys.argv[1]))
run.log("beginning")
run.write_json("classes.json", ["a", "b"])
for name in ("0.safetensors", "pictures.safetensors", ".0.safetensors.0123abcd.part"):
    (run.state / name).touch()
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_run_that_was_killed_before_it_began_is_begun_again(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    killed = subprocess.run([sys.executable, "-c", BEGINNING, str(folder)], check=False)
    assert killed.returncode == -signal.SIGKILL and ".lock" in names(folder)
    with pytest.raises(UserError, match=r"was ended before its training began"):
        Run.open(folder)
    with Run.create_at(folder) as run:
        assert names(folder) == {".lock", ".beginning", "state"} and not names(run.state)
        with pytest.raises(BusyError):
            Run.open(folder)
        run.begin({})
    assert names(folder) == {"state", "config.yaml", "env.json"}


def test_a_run_below_runs_that_was_killed_before_it_began_is_begun_again_too(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", BEGINNING, str(tmp_path / "a")], check=False)
    with Run.create(tmp_path, "a") as run, Run.create(tmp_path, "a") as another:
        assert (run.folder.name, another.folder.name) == ("a", "a-2")
        assert not names(run.state)


@pytest.mark.parametrize("name", ["log.txt", "data.json", "state/0.safetensors"])
def test_a_folder_that_looks_like_a_beginning_and_is_none_stays(name: str, tmp_path: Path) -> None:
    (tmp_path / "mine" / "state").mkdir(parents=True)
    (tmp_path / "mine" / name).write_text("precious")
    with pytest.raises(UserError, match="mine is not empty"):
        Run.create_at(tmp_path / "mine")
    assert (tmp_path / "mine" / name).read_text() == "precious"
