"""Zero-shot cross-validation: choose parameters with seen classes that play unseen (paper section 3.1).

Give parameters of params.yaml with alternatives: section.key=VALUE,VALUE,... Values are YAML and parted by commas, so a list is in
brackets; nested keys have dots. All combinations are tried, or with --one-at-a-time each alternative alone. A key with one value has it
in every setting. Example:

  python -m zs3.cross_validate gmmn.lr=0.001,0.002 'gmmn.bandwidths=[1,2],[0.5,1,2]' classifier.class_balance=0,0.5

The figures are those of ZS3Net, or, where a parameter of pseudo_labels or self_training is named, of ZS5Net: then the images that show a
held-out class, but are not scored, play the unlabelled ones, with all labels hidden.

Everything comes from the cached features of the training images: no label of an unseen class, no validation image and no unlabelled
image is read, and no stage is rerun. In each fold some seen classes are held out of generator and classifier, half of the images that
show them and a fifth of the others are kept for scoring, and hIoU is read there. The table shows for each setting the mean over folds
at the bias that is best for all folds together, its spread (standard deviation over folds), and by how much it is behind the best
setting (mean difference on the same folds, and its standard error: a difference of less than two of them may be chance).
"""

import argparse
import os
import pathlib
import sys
import tempfile

from zs3 import errors, parallel, params, progress, runtime, splits, storage
from zs3.cross_validate import bench, grid, plan, report


@errors.reported
def main(argv: list[str] | None = None) -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(
        prog="python -m zs3.cross_validate", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("parameters", nargs="+", metavar="section.key=VALUE,VALUE,...", help=f"sections: {', '.join(grid.SECTIONS)}")
    add(
        "--one-at-a-time",
        action="store_true",
        help="params.yaml, and each alternative alone, instead of all combinations",
    )
    add("--folds", type=int, help="folds (default: classifier.calibration.folds)")
    add("--held-out", type=int, help="seen classes held out in each (default: classifier.calibration.held_out)")
    add("--seed", type=int, default=0, help="of the folds (default: 0)")
    add("--workers", type=int, help="jobs at a time, each a process (default: one for each core; 1 on a GPU)")
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
    trains_again = any(key.partition(".")[0] in grid.SELF_TRAINING for key in axes)
    biases = calibration.biases
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
    n_folds = len(bench.draw_folds(common))
    workers = options.workers or (1 if device.type == "cuda" else len(os.sched_getaffinity(0)))
    with tempfile.TemporaryDirectory(prefix="cross_validate-") as scratch, parallel.processes(workers) as run:
        work = plan.make(common, settings, n_folds, pathlib.Path(scratch))
        generators = run(bench.fit_generator, work.generators)
        for _ in progress.track(generators, "cross_validate (generators)", total=len(work.generators)):
            pass
        classifiers = run(bench.fit_classifier, work.classifiers)
        found = dict(progress.track(classifiers, "cross_validate (classifiers)", total=len(work.classifiers)))
        curves = [[found[job] for job in jobs] for jobs in work.chosen]
        if trains_again:
            jobs, chosen = plan.go_on(work, settings, report.best_biases(curves, biases))
            again = run(bench.self_train, jobs)
            found = dict(progress.track(again, "cross_validate (self-training)", total=len(jobs)))
            curves = [[found[job] for job in numbers] for numbers in chosen]
    table = report.summarise(settings, curves, biases)
    keys = [key for key in axes if len(axes[key]) > 1] or list(axes)
    print(report.text(table, keys, [setting.options == present for setting in settings]))
    model = "ZS5Net" if trains_again else "ZS3Net"
    print(f"\n{model}, {n_folds} folds of {common.held_out} seen classes; * best, = params.yaml as it is")
    best = table[report.best_of(table)]
    if best["bias"] == max(biases):
        print(
            f"the best bias, {best['bias']:g}, is the largest of classifier.calibration.biases; try larger ones",
            file=sys.stderr,
        )
    print(report.command(settings[report.best_of(table)].values))
    if options.csv:
        storage.write_csv(options.csv, table)


if __name__ == "__main__":
    main()
