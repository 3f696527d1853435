"""The jobs that a set of settings needs; settings with an equal generator or classifier share its job."""

import dataclasses
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from zeroshot.base import errors, parallel, progress, storage
from zeroshot.experiments.parameter_search import fold_jobs, grid, search_table


@dataclasses.dataclass(frozen=True)
class Plan:
    """The jobs of generators and classifiers; a classifier job reads the file that its generator job wrote.

    Attributes:
        generators: arguments of `fold_jobs.fit_generator`.
        classifiers: arguments of `fold_jobs.fit_classifier`.
        jobs_of_setting: for each setting the numbers of its classifier jobs, one for each fold.
    """

    generators: list[tuple[Any, ...]]
    classifiers: list[tuple[Any, ...]]
    jobs_of_setting: list[list[int]]


def plan(inputs: fold_jobs.Inputs, settings: Sequence[grid.Setting], n_folds: int, scratch: pathlib.Path) -> Plan:
    """Return the jobs of generators and classifiers; they write what they train to files in `scratch`."""
    generators: dict[tuple[Any, ...], int] = {}
    classifiers: dict[tuple[Any, ...], int] = {}
    jobs_of_setting = []
    for setting in settings:
        numbers = []
        for fold in range(n_folds):
            generator = generators.setdefault((fold, setting.options["gmmn"]), len(generators))
            job = (fold, generator, setting.options["classifier"])
            numbers.append(classifiers.setdefault(job, len(classifiers)))
        jobs_of_setting.append(numbers)
    paths = [scratch / f"generator-{number:05d}.pt" for number in generators.values()]
    return Plan(
        [(inputs, fold, options, paths[number]) for (fold, options), number in generators.items()],
        [
            (inputs, fold, options, paths[generator], scratch / f"classifier-{number:05d}.pt")
            for (fold, generator, options), number in classifiers.items()
        ],
        jobs_of_setting,
    )


def self_training_jobs(
    job_plan: Plan, settings: Sequence[grid.Setting], seen_biases: Sequence[float], biases: Sequence[float]
) -> tuple[list[tuple[Any, ...]], list[list[int]]]:
    """Return the jobs of self-training, which need the results of `job_plan`.

    Args:
        job_plan: the jobs that trained the classifiers.
        settings: the settings of `job_plan`.
        seen_biases: for each setting the seen bias for its pseudo-labels.
        biases: seen biases at which to score.

    Returns:
        The arguments of `fold_jobs.self_train`, and for each setting the numbers of its jobs, one for each fold.
    """
    jobs: dict[tuple[Any, ...], int] = {}
    jobs_of_setting: list[list[int]] = [[] for _ in settings]
    # Fold by fold, since a process keeps the images of one fold in memory.
    for numbers in zip(*job_plan.jobs_of_setting, strict=True):
        for number, setting, seen_bias, own in zip(numbers, settings, seen_biases, jobs_of_setting, strict=True):
            options = (setting.options["pseudo_labels"], setting.options["self_training"])
            own.append(jobs.setdefault((number, seen_bias, *options), len(jobs)))
    arguments = []
    for number, *rest in jobs:
        inputs, fold, _, generator, trained = job_plan.classifiers[number]
        arguments.append((inputs, fold, generator, trained, biases, *rest))
    return arguments, jobs_of_setting


def _scorable(metrics: Mapping[int, Any], jobs_of_setting: Sequence[Sequence[int]]) -> list[list[int]]:
    """Return the jobs of each setting without the folds that have no hIoU for some setting, and say how many those are.

    Args:
        metrics: number of a job -> {seen, unseen, hIoU} at each bias.
        jobs_of_setting: for each setting the numbers of its jobs, one for each fold.

    Raises:
        errors.UserError: if no fold is left.
    """
    folds = list(zip(*jobs_of_setting, strict=True))
    scored = [fold for fold in folds if all(score["hIoU"] is not None for job in fold for score in metrics[job])]
    why = "their evaluation images have no sampled pixel of the held-out classes, or of the others"
    if not scored:
        raise errors.UserError(
            f"cross_validate: no fold can be scored, since {why}; set a larger pool_per_class, or another --seed"
        )
    if len(scored) < len(folds):
        progress.say(f"cross_validate: {len(folds) - len(scored)} of {len(folds)} folds are left out, since {why}")
    return [list(jobs) for jobs in zip(*scored, strict=True)]


def search(
    inputs: fold_jobs.Inputs,
    settings: Sequence[grid.Setting],
    workers: int,
    scratch: str | pathlib.Path,
    biases: Sequence[float],
    self_training_biases: Sequence[float] | None,
) -> list[list[list[dict[str, float | None]]]]:
    """Return the metrics {seen, unseen, hIoU} of each setting, fold and bias.

    Args:
        inputs: the inputs that all jobs share.
        settings: the settings to try.
        workers: number of processes; each runs one job at a time.
        scratch: `runtime.scratch`, below which the jobs write what they train, until the end.
        biases: seen biases at which classifiers are scored.
        self_training_biases: seen biases at which self-trained classifiers are scored; None for no self-training.
    """
    fold_jobs.clear_caches()
    with storage.temporary_folder(scratch, "cross_validate") as trained, parallel.processes(workers) as run:

        def run_all(function: Callable[..., Any], jobs: list[tuple[Any, ...]], what: str) -> dict[int, Any]:
            return dict(progress.track(run(function, jobs), f"cross_validate ({what})", total=len(jobs)))

        job_plan = plan(inputs, settings, len(fold_jobs.draw_folds(inputs)), trained)
        run_all(fold_jobs.fit_generator, job_plan.generators, "generators")
        metrics = run_all(fold_jobs.fit_classifier, job_plan.classifiers, "classifiers")
        job_plan = dataclasses.replace(job_plan, jobs_of_setting=_scorable(metrics, job_plan.jobs_of_setting))
        curves = [[metrics[job] for job in numbers] for numbers in job_plan.jobs_of_setting]
        if self_training_biases is not None:
            jobs, jobs_of_setting = self_training_jobs(
                job_plan, settings, search_table.best_biases(curves, biases), self_training_biases
            )
            metrics = run_all(fold_jobs.self_train, jobs, "self-training")
            jobs_of_setting = _scorable(metrics, jobs_of_setting)
            curves = [[metrics[job] for job in numbers] for numbers in jobs_of_setting]
    return curves
