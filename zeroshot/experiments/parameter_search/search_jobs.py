"""Which jobs a set of settings needs: what several settings have in common is done once."""

import dataclasses
import pathlib
import tempfile
from collections.abc import Callable, Sequence
from typing import Any

from zeroshot.base import parallel, progress
from zeroshot.experiments.parameter_search import bench, grid, search_table


@dataclasses.dataclass(frozen=True)
class Plan:
    """Jobs in two waves; the second reads what the first wrote.

    Attributes:
        generators: arguments of `bench.fit_generator`.
        classifiers: arguments of `bench.fit_classifier`.
        chosen: for each setting the numbers of its classifier jobs, one a fold.
    """

    generators: list[tuple[Any, ...]]
    classifiers: list[tuple[Any, ...]]
    chosen: list[list[int]]


def make(common: bench.Bench, settings: Sequence[grid.Setting], n_folds: int, scratch: pathlib.Path) -> Plan:
    """Return the plan for generators and classifiers; jobs hand over what they trained in files below `scratch`."""
    generators: dict[tuple[Any, ...], int] = {}
    classifiers: dict[tuple[Any, ...], int] = {}
    chosen = []
    for setting in settings:
        numbers = []
        for fold in range(n_folds):
            generator = generators.setdefault((fold, setting.options["gmmn"]), len(generators))
            wanted = (fold, generator, setting.options["classifier"])
            numbers.append(classifiers.setdefault(wanted, len(classifiers)))
        chosen.append(numbers)
    paths = [scratch / f"generator-{number:05d}.pt" for number in generators.values()]
    return Plan(
        [(common, fold, options, paths[number]) for (fold, options), number in generators.items()],
        [
            (common, fold, options, paths[generator], scratch / f"classifier-{number:05d}.pt")
            for (fold, generator, options), number in classifiers.items()
        ],
        chosen,
    )


def go_on(
    work: Plan, settings: Sequence[grid.Setting], seen_biases: Sequence[float], biases: Sequence[float]
) -> tuple[list[tuple[Any, ...]], list[list[int]]]:
    """Return the jobs of self-training, after those of `work`.

    Args:
        work: the plan that trained the classifiers.
        settings: those it was made for.
        seen_biases: for each of them the bias with which its classifiers label.
        biases: those to score at.

    Returns:
        arguments of `bench.self_train`, and for each setting the numbers of its jobs, one a fold.
    """
    jobs: dict[tuple[Any, ...], int] = {}
    chosen = []
    for setting, numbers, seen_bias in zip(settings, work.chosen, seen_biases, strict=True):
        options = (setting.options["pseudo_labels"], setting.options["self_training"])
        chosen.append([jobs.setdefault((number, seen_bias, *options), len(jobs)) for number in numbers])
    arguments = []
    for number, *rest in jobs:
        common, fold, _, generator, trained = work.classifiers[number]
        arguments.append((common, fold, generator, trained, biases, *rest))
    return arguments, chosen


def search(
    common: bench.Bench,
    settings: Sequence[grid.Setting],
    workers: int,
    biases: Sequence[float],
    biases_again: Sequence[float] | None,
) -> list[list[list[dict[str, float | None]]]]:
    """Return the metrics {seen, unseen, hIoU} of each setting, fold and bias.

    Args:
        common: what all jobs share.
        settings: those to try.
        workers: jobs at a time, each in a process.
        biases: those at which classifiers are scored.
        biases_again: those at which self-trained classifiers are scored; None: without self-training.
    """
    with tempfile.TemporaryDirectory(prefix="cross_validate-") as scratch, parallel.processes(workers) as run:

        def answers(function: Callable[..., Any], jobs: list[tuple[Any, ...]], what: str) -> dict[int, Any]:
            return dict(progress.track(run(function, jobs), f"cross_validate ({what})", total=len(jobs)))

        work = make(common, settings, len(bench.draw_folds(common)), pathlib.Path(scratch))
        answers(bench.fit_generator, work.generators, "generators")
        found = answers(bench.fit_classifier, work.classifiers, "classifiers")
        curves = [[found[job] for job in numbers] for numbers in work.chosen]
        if biases_again is not None:
            jobs, chosen = go_on(work, settings, search_table.best_biases(curves, biases), biases_again)
            found = answers(bench.self_train, jobs, "self-training")
            curves = [[found[job] for job in numbers] for numbers in chosen]
    return curves
