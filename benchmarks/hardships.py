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

Then the stage runs again, and `dvc repro` does what is missing. Columns of the printed table: `clear`: the run failed with one message
that names the file or the folder and the cause; DVC's own message needs a cause only. `right`: it succeeded, for example because there was
enough room. `same bytes`: every output of the pipeline is that of an undisturbed run afterwards. `no traceback`: none of this project's
code was printed. `nothing left`: no process, no unfinished work, and no file that was not there before. `fault of DVC`: a traceback of
DVC's own code, its message without the cause, its temporary file beside an output, or a damaged lock file.

The trials follow from the seed, but for moments within a stage, which depend on the machine. Mounts need root, or a system on which users
may have namespaces of their own. They are made in a namespace that ends with this process.
"""

import contextlib
import dataclasses
import functools
import pathlib
import random
import re
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import tyro

from benchmarks import small_pipeline, trial_workspace
from zeroshot.base import progress

# Stages with unfinished work, from which a killed run goes on.
_RESUMED = ("train_backbone", "dump_features")
_TRACEBACK = "Traceback (most recent call last)"
# The place of this project's code in a traceback, in any workspace.
_OWN_CODE = re.compile(r'File "(?![^"]*/site-packages/)[^"]*/(?:stages|zeroshot)/')
_DVC_TEMPORARY = re.compile(r"\.\w{22}\.tmp")
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


@contextlib.contextmanager
def full_disk(workspace: trial_workspace.Workspace, stage: str, draw: random.Random, *, place: str) -> Iterator[Runs]:
    """Run a stage with too little room in a place, and make room."""
    room = draw.uniform(0, workspace.reference(stage).written[place])
    with workspace.mounted(place, stage) as folder:
        trial_workspace.resize(folder, shutil.disk_usage(folder).used + int(room))
        end = small_pipeline.Session.repro(workspace.folder, *small_pipeline.forced(stage)).end()
        trial_workspace.resize(folder, trial_workspace.ROOMY_BYTES)
        yield Runs([end], _FULL, workspace.names(place))


@contextlib.contextmanager
def read_only(workspace: trial_workspace.Workspace, stage: str, draw: random.Random, *, place: str) -> Iterator[Runs]:
    """Run a stage while a place can only be read, from the start or a random moment on, and make it writable."""
    moment = draw.choice((0, draw.uniform(0, workspace.reference(stage).seconds)))
    with workspace.mounted(place, stage) as folder:
        session = small_pipeline.Session.repro(workspace.folder, *small_pipeline.forced(stage))
        session.runs_after(moment)
        with trial_workspace.unwritable(folder):
            end = session.end()
        yield Runs([end], _READ_ONLY, workspace.names(place))


@contextlib.contextmanager
def deleted(workspace: trial_workspace.Workspace, stage: str, draw: random.Random, *, shard: bool) -> Iterator[Runs]:
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
def two_runs(workspace: trial_workspace.Workspace, stage: str, draw: random.Random, *, how: str) -> Iterator[Runs]:
    """Run a stage twice at once: by DVC, by its own command, or by that in a second workspace with one scratch folder."""
    moment = draw.uniform(0, workspace.reference(stage).seconds / 2)
    with contextlib.ExitStack() as stack:
        folders = [workspace.folder, workspace.folder]
        if how == trial_workspace.SCRATCH:
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
        places = {f"{pathlib.Path(out).parent}/" for out in workspace.expected}
        names = [*places, *workspace.names(trial_workspace.SCRATCH)]
        yield Runs(ends, _TWICE, names, same)


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
    run: Callable[[trial_workspace.Workspace, str, random.Random], contextlib.AbstractContextManager[Runs]]


def hardships(workspace: trial_workspace.Workspace, stages: Sequence[str]) -> list[Hardship]:
    """Return all hardships that one of the stages can meet."""
    found = []
    for name, run in (("full disk", full_disk), ("read-only", read_only)):
        for place in trial_workspace.PLACES:
            writing = [stage for stage in stages if workspace.writes(stage, place)]
            found.append(Hardship(name, place, writing, functools.partial(run, place=place)))
    for place, shard in (("an input", False), ("a shard", True)):
        reading = [stage for stage in stages if workspace.inputs(stage, shard)]
        found.append(Hardship("deleted", place, reading, functools.partial(deleted, shard=shard)))
    for how in ("DVC", "command", trial_workspace.SCRATCH):
        meeting = [stage for stage in stages if how != trial_workspace.SCRATCH or stage in _RESUMED]
        found.append(Hardship("two runs", how, meeting, functools.partial(two_runs, how=how)))
    return [hardship for hardship in found if hardship.stages]


def trial(workspace: trial_workspace.Workspace, hardship: Hardship, draw: random.Random) -> dict[str, Any]:
    """Run a stage in a hardship, let DVC finish, print what should not be, and return the row of the table."""
    stage = draw.choice(hardship.stages)
    with hardship.run(workspace, stage, draw) as runs:
        end, is_lock_broken = _finished(workspace.folder, stage)
        is_same = not end.status and runs.same and small_pipeline.outputs(workspace.folder) == workspace.expected
        left = workspace.leftovers()
        for file in left:
            file.unlink()
    ends = [*runs.ends, end]
    texts = [end.text for end in ends]
    tracebacks = [part for text in texts for part in text.split(_TRACEBACK)[1:]]
    ours = [part for part in tracebacks if _OWN_CODE.search(part)]
    of_dvc = {file for file in left if _DVC_TEMPORARY.fullmatch(file.name)}
    facts = {
        "clear": runs.are_clear,
        "right": runs.are_right,
        "same bytes": is_same,
        "no traceback": not ours,
        "nothing left": left <= of_dvc and all(end.in_time for end in ends),
        "fault of DVC": bool(of_dvc) or len(tracebacks) > len(ours) or runs.are_unclear_by_dvc or is_lock_broken,
    }
    if not (facts["clear"] or facts["right"]) or not is_same or tracebacks or left:
        printed = "\n---\n".join(text[-3000:] for text in texts)
        print(
            f"{hardship.name}, {hardship.place}, {stage}: {facts}, left: {left}\n{printed}", file=sys.stderr, flush=True
        )
    named = {"hardship": hardship.name, "place": hardship.place, "tried": 1}
    return {**named, **{key: int(fact) for key, fact in facts.items()}}


def _finished(folder: pathlib.Path, stage: str) -> tuple[small_pipeline.End, bool]:
    """Run a stage again and then all that is missing; return how that ended, and whether DVC's lock file had to be deleted before."""
    lock = folder / ".dvc/tmp/rwlock"
    # On a full disk, DVC leaves it empty, and refuses to run from then on.
    is_broken = lock.exists() and not lock.stat().st_size
    if is_broken:
        lock.unlink()
    # DVC alone would take the results of a failed stage from its cache, and the unfinished work would stay.
    end = small_pipeline.Session.repro(folder, *small_pipeline.forced(stage)).end()
    return (end if end.status else small_pipeline.Session.repro(folder).end()), is_broken


def main(folder: tyro.conf.Positional[pathlib.Path], *, trials: int = 40, seed: int = 0) -> None:
    """Run the trials and print a table of them.

    Args:
        folder: where the clone is made; it must not exist.
        trials: how many.
        seed: of stages, sizes, files and moments.
    """
    trial_workspace.enter_namespace("benchmarks.hardships")
    folder = folder.absolute()
    small_pipeline.make(folder)
    workspace, draw = trial_workspace.Workspace(folder), random.Random(seed)
    kinds = hardships(workspace, small_pipeline.STAGES)
    rows = []
    for number in progress.track(range(trials), "hardships"):
        rows.append(trial(workspace, kinds[number % len(kinds)], draw))
        if not rows[-1]["same bytes"]:
            small_pipeline.repro(folder, "--force")
    small_pipeline.print_sums(rows, ["hardship", "place"])


if __name__ == "__main__":
    tyro.cli(main)
