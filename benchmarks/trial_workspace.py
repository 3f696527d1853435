"""A finished clone in which trials run a stage while one of its folders is on a small or a read-only file system."""

import contextlib
import dataclasses
import json
import os
import pathlib
import shlex
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from typing import Any

import yaml

from benchmarks import small_pipeline

_CACHE = ".dvc/cache"
SCRATCH = "runtime.scratch"
_DVC_TMP = ".dvc/tmp"
PLACES = ("data", "features", "models", "metrics", SCRATCH, _CACHE, _DVC_TMP)
# Folders whose new files are nobody's leftovers, and those that may have new files but no temporary ones.
_FOREIGN = {".git", ".dvc", "__pycache__"}
_LASTING = {"locks", "checksums"}
# A file system of 0 bytes would have no limit.
_PAGE_BYTES = 4096
# Enough for everything.
ROOMY_BYTES = 2**32
_IN_NAMESPACE = "HARDSHIPS_IN_NAMESPACE"


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
        return self.scratch if place == SCRATCH else self.folder / place

    def names(self, place: str) -> list[str]:
        """Return what a message about a place must contain."""
        return [f"{os.path.relpath(self.path(place), self.folder)}/"]

    def writes(self, stage: str, place: str) -> bool:
        """Return whether a stage has outputs in a place; all use the folders of DVC and that of unfinished work."""
        if place in (SCRATCH, _CACHE, _DVC_TMP):
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
                paths = {place: stack.enter_context(self.mounted(place, stage)) for place in PLACES}
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
            is_empty = place in (SCRATCH, _DVC_TMP)
            return [name for name in names if is_empty or pathlib.Path(parent, name) in results]

        with tempfile.TemporaryDirectory() as aside:
            _call("mount", "-t", "tmpfs", "-o", f"size={ROOMY_BYTES}", "tmpfs", aside)
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


def enter_namespace(program: str) -> None:
    """Start this process again in a namespace of mounts of its own, unless it is in one.

    Args:
        program: the module, as after `python -m`.

    Raises:
        SystemExit: if this user may have none.
    """
    if _IN_NAMESPACE in os.environ:
        return
    command = ["unshare", "--mount", *(["--map-root-user"] if os.geteuid() else [])]
    tried = subprocess.run([*command, "true"], capture_output=True, text=True)
    if tried.returncode:
        sys.exit(
            f"{program}: file systems cannot be mounted here ({tried.stderr.strip()}); run it as root, or where users may have"
            " namespaces of their own (`unshare --map-root-user --mount true` succeeds there)"
        )
    os.environ[_IN_NAMESPACE] = "1"
    os.execvp(command[0], [*command, sys.executable, "-m", program, *sys.argv[1:]])


def resize(folder: pathlib.Path, n_bytes: int) -> None:
    """Give the file system that is mounted over a folder another size."""
    size = f"remount,size={max(_PAGE_BYTES, n_bytes)}"
    # Otherwise `mount` repeats the options of the first time, and a user without rights may not set the owner.
    _call("mount", "--options-source", "disable", "-o", size, "tmpfs", str(folder))


@contextlib.contextmanager
def unwritable(folder: pathlib.Path) -> Iterator[None]:
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


def _call(*words: str) -> None:
    subprocess.run(words, check=True)
