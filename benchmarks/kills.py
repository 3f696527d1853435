"""Stages and `dvc repro` killed or interrupted at random moments: is the result the same afterwards?

    python -m benchmarks.kills /tmp/kills --trials 40

In a clone of the last commit with a small data set, each trial takes a stage by chance, runs it again by force, and at a random moment
sends SIGKILL, SIGINT or SIGTERM to the stage, to DVC or to the whole group of processes. Then DVC finishes what is missing. Columns of
the printed table: `same bytes`: every output of the pipeline is that of an undisturbed run. `no traceback`: nothing printed one.
`ended`: no process was left a minute after DVC's end. The trials follow from the seed, but for the moment within a stage, which depends
on the machine.
"""

import pathlib
import random
import signal
import sys
import time

import tyro

from benchmarks import small_pipeline
from zeroshot.base import progress

_REPRO = "dvc repro"
_SIGNALS = (signal.SIGKILL, signal.SIGINT, signal.SIGTERM)
_TARGETS = ("stage", "DVC", "group")


def main(folder: tyro.conf.Positional[pathlib.Path], *, trials: int = 40, seed: int = 0) -> None:
    """Run the trials and print a table of them.

    Args:
        folder: where the clone is made; it must not exist.
        trials: how many.
        seed: of the stages and of the moments.
    """
    small_pipeline.make(folder)
    expected, durations = small_pipeline.outputs(folder), {}
    draw = random.Random(seed)
    rows = []
    for _ in progress.track(range(trials), "kills"):
        stage = draw.choice((*small_pipeline.STAGES, _REPRO))
        words = ("--force",) if stage == _REPRO else small_pipeline.forced(stage)
        if stage not in durations:
            start = time.perf_counter()
            small_pipeline.repro(folder, *words)
            durations[stage] = time.perf_counter() - start
        what, whom = draw.choice(_SIGNALS), draw.choice(_TARGETS)
        session = small_pipeline.Session.repro(folder, *words)
        if session.runs_after(draw.uniform(0, durations[stage])):
            session.send(what, whom)
        end = session.end()
        finished = small_pipeline.Session.repro(folder).end()
        is_same = not finished.status and small_pipeline.outputs(folder) == expected
        facts = {"same bytes": is_same, "no traceback": "Traceback" not in end.text, "ended": end.in_time}
        rows.append({"signal": what.name, "to": whom, "trials": 1, **{name: int(fact) for name, fact in facts.items()}})
        if not all(facts.values()):
            printed = f"{end.text[-2000:]}\n{finished.text[-2000:]}"
            print(f"{stage}, {what.name} to {whom}: {facts}\n{printed}", file=sys.stderr)
        if not is_same:
            small_pipeline.repro(folder, "--force")
    rows.sort(key=lambda row: (row["signal"], row["to"]))
    small_pipeline.print_sums(rows, ["signal", "to"])


if __name__ == "__main__":
    tyro.cli(main)
