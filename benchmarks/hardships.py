"""Full disks, read-only folders, deleted files and two runs at once, at random: one clear message, and the same result afterwards?

    python -m benchmarks.hardships /tmp/hardships --trials 40

In a clone of the last commit with a small data set, each trial takes the next hardship and a stage by chance, and runs that stage again by
force. Hardships, in turn:

* `full disk` of a folder: the stage's outputs, `runtime.scratch`, DVC's cache, DVC's own temporary folder. A small file system is
  mounted over it. Its room is chosen between nothing and what the stage would write.
* `read-only` folder, in the same places, from the start or from a random moment on.
* `deleted`: a file that the stage reads is deleted at a random moment, and `dvc checkout` puts it back.
* `two runs`: a second run of the stage begins at a random moment: by DVC, by the stage's own command, or by that command in another
  workspace with the same `runtime.scratch`.

Then `dvc repro` does what is missing, without results of earlier runs. Columns of the printed table: `clear`: the run failed with one
message that names the file or the folder and the cause; DVC's own message needs a cause only. `right`: it succeeded, for example because
there was enough room. `same bytes`: every output of the pipeline is that of an undisturbed run afterwards. `no traceback`: none of this
project's code was printed. `nothing left`: no process, no unfinished work, and no file that was not there before. `fault of DVC`: a
traceback of DVC's own code, its message without the cause, or its temporary file beside an output.

The trials follow from the seed, but for moments within a stage, which depend on the machine. Mounts need root, or a system on which users
may have namespaces of their own. They are made in a namespace that ends with this process.
"""

import contextlib
import dataclasses
import functools
import json
import os
import pathlib
import random
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import tyro
import yaml

from benchmarks import small_pipeline
from zeroshot.base import progress

_CACHE = ".dvc/cache"
_SCRATCH = "runtime.scratch"
_DVC_TMP = ".dvc/tmp"
_PLACES = ("data", "features", "models", "metrics", _SCRATCH, _CACHE, _DVC_TMP)
# Folders whose new files are nobody's leftovers, and those that may have new files but no temporary ones.
_FOREIGN = {".git", ".dvc", "__pycache__"}
_LASTING = {"locks", "checksums"}
# Stages with unfinished work, from which a killed run goes on.
_RESUMED = ("train_backbone", "dump_features")
# A file system of 0 bytes would have no limit.
_PAGE_BYTES = 4096
# Enough for everything.
_ROOMY_BYTES = 2**32
_TRACEBACK = "Traceback (most recent call last)"
_DVC_TEMPORARY = re.compile(r"\.\w{22}\.tmp")
_IN_NAMESPACE = "HARDSHIPS_IN_NAMESPACE"
# What a message says about each cause.
_FULL = ("disk is full", "No space left on device", "free some disk space")
_READ_ONLY = ("can only be read", "Read-only file system")
_MISSING = ("missing", "No such file", "does not exist", "not found")
_TWICE = ("has been writing it since", "is busy", "Unable to acquire lock")


@dataclasses.dataclass(frozen=True)
class Runs:
    """What happened in a trial.

    Attributes:
        ends: how the runs ended.
        causes: a message must have one of these texts.
        names: a message of a stage must have one of these too.
        same: whether outputs outside the workspace have the bytes that they should have.
    """

    ends: Sequence[small_pipeline.End]
    causes: Sequence[str]
    names: Sequence[str]
    same: bool = True

    @property
    def are_right(self) -> bool:
        """Whether all succeeded."""
        return not any(end.status for end in self.ends)

    @property
    def are_clear(self) -> bool:
        """Whether some failed, each with a clear message, and of several runs at least one succeeded."""
        failed = [end for end in self.ends if end.status]
        n_right = len(self.ends) - len(failed)
        return bool(failed) and (n_right > 0 or len(self.ends) == 1) and all(map(self._is_clear, failed))

    @property
    def are_unclear_by_dvc(self) -> bool:
        """Whether messages are not clear and the stages did not fail: the messages are DVC's."""
        failed = [line for end in self.ends if end.status for line in end.text.splitlines() if line.startswith("ERROR")]
        return bool(failed) and not self.are_clear and not any("exited with" in line for line in failed)

    def _is_clear(self, end: small_pipeline.End) -> bool:
        lines = {line.strip() for line in end.text.splitlines() if any(cause in line for cause in self.causes)}
        of_dvc = {line for line in lines if line.startswith(("ERROR", "WARNING"))}
        named = {line for line in lines - of_dvc if any(name in line for name in self.names)}
        return bool(of_dvc | named) and len(named) <= 1 and _TRACEBACK not in end.text


@dataclasses.dataclass(frozen=True)
class Reference:
    """An undisturbed run of a stage.

    Attributes:
        seconds: how long it took.
        written: place -> the most bytes that it had there at a time, beyond those before.
    """

    seconds: float
    written: dict[str, int]


class Workspace:
    """A finished clone, in which trials run."""

    def __init__(self, folder: pathlib.Path) -> None:
        """Remember how the clone is now."""
        self.folder = folder
        self.scratch = folder / yaml.safe_load((folder / "params.yaml").read_text())["runtime"]["scratch"]
        self.expected = small_pipeline.outputs(folder)
        self._before = self._files()
        self._stages = small_pipeline.locked_stages(folder)
        self._references: dict[str, Reference] = {}

    def path(self, place: str) -> pathlib.Path:
        """Return the folder of one of the places."""
        return self.scratch if place == _SCRATCH else self.folder / place

    def names(self, place: str) -> list[str]:
        """Return what a message about a place must contain."""
        return [f"{os.path.relpath(self.path(place), self.folder)}/"]

    def writes(self, stage: str, place: str) -> bool:
        """Return whether a stage has outputs in a place; all use the folders of DVC and that of unfinished work."""
        if place in (_SCRATCH, _CACHE, _DVC_TMP):
            return True
        return any(out["path"].startswith(f"{place}/") for out in self._outs(stage))

    def command(self, stage: str) -> list[str]:
        """Return the stage's own command."""
        return [sys.executable, *shlex.split(self._stages[stage]["cmd"])[1:]]

    def inputs(self, stage: str, shard: bool) -> list[pathlib.Path]:
        """Return the files in DVC's cache that a stage reads; with `shard` only shards of features."""
        cached = {out["path"] for name in self._stages for out in self._outs(name) if self._objects(out)}
        paths = [self.folder / dep["path"] for dep in self._stages[stage].get("deps", []) if dep["path"] in cached]
        files = [file for path in paths for file in (sorted(path.rglob("*")) if path.is_dir() else [path])]
        return [file for file in files if not file.is_dir() and (not shard or file.name.startswith("shard-"))]

    @contextlib.contextmanager
    def second(self) -> Iterator[pathlib.Path]:
        """Yield a copy of the clone, without what DVC needs, with the same folder of unfinished work."""
        with tempfile.TemporaryDirectory(dir=self.folder.parent) as parent:
            copy = pathlib.Path(parent, self.folder.name)
            ignored = shutil.ignore_patterns(".git", ".dvc", self.scratch.name)
            shutil.copytree(self.folder, copy, symlinks=True, ignore=ignored)
            settings = yaml.safe_load((copy / "params.yaml").read_text())
            settings["runtime"]["scratch"] = str(self.scratch)
            (copy / "params.yaml").write_text(yaml.safe_dump(settings, sort_keys=False))
            yield copy

    def reference(self, stage: str) -> Reference:
        """Run a stage undisturbed, once, with each place on a file system of its own, and return what it needed."""
        if stage not in self._references:
            with contextlib.ExitStack() as stack:
                paths = {place: stack.enter_context(self.mounted(place, stage)) for place in _PLACES}
                peaks = stack.enter_context(_peaks(paths))
                start = time.perf_counter()
                small_pipeline.repro(self.folder, *small_pipeline.forced(stage))
                seconds = time.perf_counter() - start
            self._references[stage] = Reference(seconds, peaks)
        return self._references[stage]

    @contextlib.contextmanager
    def mounted(self, place: str, stage: str) -> Iterator[pathlib.Path]:
        """Mount a roomy file system over a place, with its files but for the results of a stage; yield its folder.

        Folders for temporary files are empty, as at the first run.
        """
        folder = self.path(place)
        folder.mkdir(parents=True, exist_ok=True)
        results = {path for out in self._outs(stage) for path in (self.folder / out["path"], *self._objects(out))}

        def ignored(parent: str, names: list[str]) -> list[str]:
            is_empty = place in (_SCRATCH, _DVC_TMP)
            return [name for name in names if is_empty or pathlib.Path(parent, name) in results]

        with tempfile.TemporaryDirectory() as aside:
            _call("mount", "-t", "tmpfs", "-o", f"size={_ROOMY_BYTES}", "tmpfs", aside)
            try:
                shutil.copytree(folder, aside, symlinks=True, ignore=ignored, dirs_exist_ok=True)
                _call("mount", "--bind", aside, str(folder))
            finally:
                _call("umount", aside)
        try:
            yield folder
        finally:
            _call("umount", str(folder))

    def leftovers(self) -> set[pathlib.Path]:
        """Return the files that were not there at the beginning."""
        return self._files() - self._before

    def _files(self) -> set[pathlib.Path]:
        found = set()
        for root in (self.folder, self.scratch):
            for file in root.rglob("*"):
                parts = set(file.relative_to(root).parts)
                if not file.is_dir() and not parts & _FOREIGN and (not parts & _LASTING or file.suffix == ".tmp"):
                    found.add(file)
        return found

    def _outs(self, stage: str) -> list[dict[str, Any]]:
        return self._stages[stage].get("outs", [])

    def _objects(self, out: dict[str, Any]) -> list[pathlib.Path]:
        """Return the files of an output in DVC's cache; none for an output that Git has."""
        objects = self.folder / _CACHE / "files/md5"

        def of(md5: str) -> pathlib.Path:
            return objects / md5[:2] / md5[2:]

        main = of(out["md5"])
        if not main.exists():
            return []
        parts = json.loads(main.read_text()) if out["md5"].endswith(".dir") else []
        return [main, *(of(part["md5"]) for part in parts)]


@contextlib.contextmanager
def full_disk(workspace: Workspace, stage: str, draw: random.Random, *, place: str) -> Iterator[Runs]:
    """Run a stage with too little room in a place, and make room."""
    room = draw.uniform(0, workspace.reference(stage).written[place])
    with workspace.mounted(place, stage) as folder:
        _resize(folder, shutil.disk_usage(folder).used + int(room))
        end = small_pipeline.Session.repro(workspace.folder, *small_pipeline.forced(stage)).end()
        _resize(folder, _ROOMY_BYTES)
        yield Runs([end], _FULL, workspace.names(place))


@contextlib.contextmanager
def read_only(workspace: Workspace, stage: str, draw: random.Random, *, place: str) -> Iterator[Runs]:
    """Run a stage while a place can only be read, from the start or a random moment on, and make it writable."""
    moment = draw.choice((0, draw.uniform(0, workspace.reference(stage).seconds)))
    with workspace.mounted(place, stage) as folder:
        session = small_pipeline.Session.repro(workspace.folder, *small_pipeline.forced(stage))
        session.runs_after(moment)
        with _unwritable(folder):
            end = session.end()
        yield Runs([end], _READ_ONLY, workspace.names(place))


@contextlib.contextmanager
def deleted(workspace: Workspace, stage: str, draw: random.Random, *, shard: bool) -> Iterator[Runs]:
    """Delete a file that a stage reads, a shard of features or any, at a random moment, and let DVC put it back."""
    file = draw.choice(workspace.inputs(stage, shard))
    moment = draw.uniform(0, workspace.reference(stage).seconds)
    session = small_pipeline.Session.repro(workspace.folder, *small_pipeline.forced(stage))
    session.runs_after(moment)
    file.unlink(missing_ok=True)
    end = session.end()
    small_pipeline.dvc(workspace.folder, "checkout", "--quiet", str(file))
    yield Runs([end], _MISSING, [file.name])


@contextlib.contextmanager
def two_runs(workspace: Workspace, stage: str, draw: random.Random, *, how: str) -> Iterator[Runs]:
    """Run a stage twice at once: by DVC, by its own command, or by that in a second workspace with one scratch folder."""
    moment = draw.uniform(0, workspace.reference(stage).seconds / 2)
    with contextlib.ExitStack() as stack:
        folders = [workspace.folder, workspace.folder]
        if how == _SCRATCH:
            folders[1] = stack.enter_context(workspace.second())
        sessions = []
        for folder in folders:
            if sessions:
                sessions[0].runs_after(moment)
            if how == "DVC":
                sessions.append(small_pipeline.Session.repro(folder, *small_pipeline.forced(stage)))
            else:
                sessions.append(small_pipeline.Session(folder, workspace.command(stage)))
        ends = [session.end() for session in sessions]
        same = bool(ends[1].status) or small_pipeline.outputs(folders[1]) == workspace.expected
        names = {f"{pathlib.Path(out).parent}/" for out in workspace.expected} | {*workspace.names(_SCRATCH)}
        yield Runs(ends, _TWICE, [*names], same)


@dataclasses.dataclass(frozen=True)
class Hardship:
    """A hardship.

    Attributes:
        name: what it is.
        place: where, or which of its kind.
        stages: the stages that can meet it.
        run: runs one of them in it, and yields what happened when it has ended.
    """

    name: str
    place: str
    stages: Sequence[str]
    run: Callable[[Workspace, str, random.Random], contextlib.AbstractContextManager[Runs]]


def hardships(workspace: Workspace, stages: Sequence[str]) -> list[Hardship]:
    """Return all hardships that one of the stages can meet."""
    found = []
    for name, run in (("full disk", full_disk), ("read-only", read_only)):
        for place in _PLACES:
            writing = [stage for stage in stages if workspace.writes(stage, place)]
            found.append(Hardship(name, place, writing, functools.partial(run, place=place)))
    for place, shard in (("an input", False), ("a shard", True)):
        reading = [stage for stage in stages if workspace.inputs(stage, shard)]
        found.append(Hardship("deleted", place, reading, functools.partial(deleted, shard=shard)))
    for how in ("DVC", "command", _SCRATCH):
        meeting = [stage for stage in stages if how != _SCRATCH or stage in _RESUMED]
        found.append(Hardship("two runs", how, meeting, functools.partial(two_runs, how=how)))
    return [hardship for hardship in found if hardship.stages]


def trial(workspace: Workspace, hardship: Hardship, draw: random.Random) -> dict[str, Any]:
    """Run a stage in a hardship, let DVC finish, print what should not be, and return the row of the table."""
    stage = draw.choice(hardship.stages)
    with hardship.run(workspace, stage, draw) as runs:
        is_finished, text = small_pipeline.finish(workspace.folder, "--no-run-cache")
        is_same = is_finished and runs.same and small_pipeline.outputs(workspace.folder) == workspace.expected
        left = workspace.leftovers()
        for file in left:
            file.unlink()
    texts = [*(end.text for end in runs.ends), text]
    tracebacks = [part for text in texts for part in text.split(_TRACEBACK)[1:]]
    ours = [
        part for part in tracebacks if any(f'"{workspace.folder}/{name}/' in part for name in ("stages", "zeroshot"))
    ]
    of_dvc = {file for file in left if _DVC_TEMPORARY.fullmatch(file.name)}
    facts = {
        "clear": runs.are_clear,
        "right": runs.are_right,
        "same bytes": is_same,
        "no traceback": not ours,
        "nothing left": left <= of_dvc and all(end.in_time for end in runs.ends),
        "fault of DVC": bool(of_dvc) or len(tracebacks) > len(ours) or runs.are_unclear_by_dvc,
    }
    is_good = (facts["clear"] or facts["right"]) and is_same and not tracebacks and not left
    if not is_good:
        texts = "\n---\n".join(text[-3000:] for text in texts)
        print(
            f"{hardship.name}, {hardship.place}, {stage}: {facts}, left: {left}\n{texts}", file=sys.stderr, flush=True
        )
    return {
        "hardship": hardship.name,
        "place": hardship.place,
        "tried": 1,
        **{key: int(fact) for key, fact in facts.items()},
    }


def main(folder: tyro.conf.Positional[pathlib.Path], *, trials: int = 40, seed: int = 0) -> None:
    """Run the trials and print a table of them.

    Args:
        folder: where the clone is made; it must not exist.
        trials: how many.
        seed: of stages, sizes, files and moments.
    """
    _enter_namespace()
    folder = folder.absolute()
    small_pipeline.make(folder)
    workspace, draw = Workspace(folder), random.Random(seed)
    kinds = hardships(workspace, small_pipeline.STAGES)
    rows = []
    for number in progress.track(range(trials), "hardships"):
        rows.append(trial(workspace, kinds[number % len(kinds)], draw))
        if not rows[-1]["same bytes"]:
            small_pipeline.repro(folder, "--force")
    small_pipeline.print_sums(rows, ["hardship", "place"])


def _enter_namespace() -> None:
    """Start this program again in a namespace of mounts of its own, unless it is in one."""
    if _IN_NAMESPACE in os.environ:
        return
    command = ["unshare", "--mount", *(["--map-root-user"] if os.geteuid() else [])]
    tried = subprocess.run([*command, "true"], capture_output=True, text=True)
    if tried.returncode:
        sys.exit(
            f"hardships: file systems cannot be mounted here ({tried.stderr.strip()}); run it as root, or where users may have"
            " namespaces of their own (`unshare --map-root-user --mount true` succeeds there)"
        )
    os.environ[_IN_NAMESPACE] = "1"
    os.execvp(command[0], [*command, sys.executable, "-m", "benchmarks.hardships", *sys.argv[1:]])


def _call(*words: str) -> None:
    subprocess.run(words, check=True)


def _resize(folder: pathlib.Path, n_bytes: int) -> None:
    """Give the file system that is mounted over a folder another size."""
    _call("mount", "-o", f"remount,size={max(_PAGE_BYTES, n_bytes)}", str(folder))


@contextlib.contextmanager
def _unwritable(folder: pathlib.Path) -> Iterator[None]:
    """Make a folder and all in it read-only, also for root."""
    _call("mount", "--bind", str(folder), str(folder))
    try:
        _call("mount", "-o", "remount,bind,ro", str(folder))
        yield
    finally:
        _call("umount", str(folder))


@contextlib.contextmanager
def _peaks(folders: dict[str, pathlib.Path]) -> Iterator[dict[str, int]]:
    """Yield name -> the most bytes that a file system has got since the beginning, complete after the context."""
    before = {name: shutil.disk_usage(folder).used for name, folder in folders.items()}
    peaks = dict.fromkeys(folders, 0)
    is_over = threading.Event()

    def watch() -> None:
        while not is_over.wait(0.01):
            for name, folder in folders.items():
                peaks[name] = max(peaks[name], shutil.disk_usage(folder).used - before[name])

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield peaks
    finally:
        is_over.set()
        thread.join()


if __name__ == "__main__":
    tyro.cli(main)
