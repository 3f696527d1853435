"""Zero-shot cross-validation: choose parameters with seen classes that play unseen (paper section 3.1).

Give parameters of params.yaml with alternatives: section.key=VALUE,VALUE,... Values are YAML and parted by commas, so a list is in
brackets; nested keys have dots. All combinations are tried, or with --one-at-a-time each alternative alone. A key with one value has it
in every setting. Example:

  python -m zeroshot.commands.cross_validate gmmn.lr=0.001,0.002 'gmmn.bandwidths=[1,2],[0.5,1,2]' classifier.class_balance=0,0.5

The figures are those of ZS3Net, or, where a parameter of pseudo_labels or self_training is named, of ZS5Net: then the images that show a
held-out class, but are not scored, play the unlabelled ones, with all labels hidden. Agreement alone cannot be tried: the cached views
of training images are of different places.

Everything comes from the cached features of the training images: no label of an unseen class, no validation image and no unlabelled
image is read, and no stage is rerun. In each fold some seen classes are held out of generator and classifier, half of the images that
show them and a fifth of the others are kept for scoring, and hIoU is read there. The table shows for each setting the mean over folds
at the bias that is best for all folds together (for ZS5Net without one where self_training.biases is []), its spread (standard
deviation over folds), and by how much it is behind the best setting (mean difference on the same folds, and its standard error: a
difference of less than two of them may be chance).
"""

import argparse
import os
import pathlib
import sys
import tempfile
from collections.abc import Callable, Sequence
from typing import Any

from zeroshot.base import errors, parallel, params, progress, runtime, storage
from zeroshot.datasets import splits
from zeroshot.experiments.parameter_search import bench, grid, search_jobs, search_table


@errors.reported
def main(argv: list[str] | None = None) -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(
        prog="python -m zeroshot.commands.cross_validate",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("parameters", nargs="+", metavar="section.key=VALUE,VALUE,...", help=f"sections: {', '.join(grid.SECTIONS)}")
    add(
        "--one-at-a-time",
        action="store_true",
        help="params.yaml, and each alternative alone, instead of all combinations",
    )
    add("--folds", type=_count, help="folds (default: classifier.calibration.folds)")
    add("--held-out", type=_count, help="seen classes held out in each (default: classifier.calibration.held_out)")
    add("--seed", type=int, default=0, help="of the folds (default: 0)")
    add("--workers", type=_count, help="jobs at a time, each a process (default: one for each core; 1 on a GPU)")
    add("--csv", type=pathlib.Path, help="write the table here too, with the hIoU of each fold")
    add("--params", type=pathlib.Path, default=pathlib.Path("params.yaml"), help="settings to start from")
    add("--split", type=pathlib.Path, default=pathlib.Path("data/split.json"))
    add("--features", type=pathlib.Path, default=pathlib.Path("features/train"), help="cache of training pixels")
    add("--embeddings", type=pathlib.Path, default=pathlib.Path("data/class_embeddings.h5"))
    add("--start", type=pathlib.Path, default=pathlib.Path("models/seen_only.pt"), help="the backbone's last layer")
    options = parser.parse_args(argv)

    document = params.read(options.params)
    present = {name: params.load(options.params, name, cls) for name, cls in grid.SECTIONS.items()}
    calibration = present["classifier"].calibration
    axes = grid.parse(options.parameters)
    settings = grid.settings(document, axes, options.one_at_a_time)
    device = runtime.device(params.load(options.params, "runtime", runtime.Params))
    common = bench.Bench(
        options.features,
        options.embeddings,
        options.start,
        splits.read(options.split).exclude,
        options.folds or calibration.folds,
        options.held_out or calibration.held_out,
        options.seed,
        device.type,
    )
    workers = options.workers or (1 if device.type == "cuda" else len(os.sched_getaffinity(0)))
    again = grid.trains_again(axes)
    biases = (present["self_training"].biases or (0.0,)) if again else calibration.biases
    curves = _search(common, settings, workers, calibration.biases, biases if again else None)

    table = search_table.summarise(settings, curves, biases)
    varied = [key for key in axes if len(axes[key]) > 1] or list(axes)
    named = search_table.name(settings, varied, options.one_at_a_time)
    print(search_table.text(table, named, [setting.options == present for setting in settings]))
    held_out = {len(fold.held_out) for fold in bench.draw_folds(common)}.pop()
    print(
        f"\n{'ZS5Net' if again else 'ZS3Net'}, {len(curves[0])} folds of {held_out} seen classes; * best, = {options.params} as it is"
    )
    best = search_table.best_of(table)
    if len(biases) > 1 and table[best]["bias"] == max(biases):
        section = "self_training" if again else "classifier.calibration"
        print(f"the best bias, {max(biases):g}, is the largest of {section}.biases; try larger ones", file=sys.stderr)
    changes = settings[best].changes
    print(search_table.command(changes) if changes else f"the best setting is {options.params} as it is")
    if options.csv:
        storage.write_csv(options.csv, table)


def _search(
    common: bench.Bench,
    settings: Sequence[grid.Setting],
    workers: int,
    biases: Sequence[float],
    biases_again: Sequence[float] | None,
) -> list[list[list[dict[str, float | None]]]]:
    """Return the figures {seen, unseen, hIoU} of each setting, fold and bias; after self-training if there are biases for that."""
    with tempfile.TemporaryDirectory(prefix="cross_validate-") as scratch, parallel.processes(workers) as run:

        def answers(function: Callable[..., Any], jobs: list[tuple[Any, ...]], what: str) -> dict[int, Any]:
            return dict(progress.track(run(function, jobs), f"cross_validate ({what})", total=len(jobs)))

        work = search_jobs.make(common, settings, len(bench.draw_folds(common)), pathlib.Path(scratch))
        answers(bench.fit_generator, work.generators, "generators")
        found = answers(bench.fit_classifier, work.classifiers, "classifiers")
        curves = [[found[job] for job in numbers] for numbers in work.chosen]
        if biases_again is not None:
            jobs, chosen = search_jobs.go_on(work, settings, search_table.best_biases(curves, biases), biases_again)
            found = answers(bench.self_train, jobs, "self-training")
            curves = [[found[job] for job in numbers] for numbers in chosen]
    return curves


def _count(text: str) -> int:
    """Read a positive whole number."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"needs a whole number of 1 or more, found {text}")
    return int(text)


if __name__ == "__main__":
    main()
