"""Choose parameters by zero-shot cross-validation (paper section 3.1)."""

import pathlib
from typing import Annotated

import tyro

Parameters = Annotated[tyro.conf.Positional[tuple[str, ...]], tyro.conf.arg(metavar="SECTION.KEY=VALUE,...")]


def main(
    parameters: Parameters,
    *,
    one_at_a_time: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False,
    folds: int | None = None,
    held_out: int | None = None,
    seed: int = 0,
    workers: int | None = None,
    csv_path: pathlib.Path | None = None,
    params_path: pathlib.Path = pathlib.Path("params.yaml"),
    split_path: pathlib.Path = pathlib.Path("data/split.json"),
    features_dir: pathlib.Path = pathlib.Path("features/train"),
    embeddings_path: pathlib.Path = pathlib.Path("data/class_embeddings.h5"),
    start_path: pathlib.Path = pathlib.Path("models/classifiers/seen_only.pt"),
) -> None:
    """Choose parameters by zero-shot cross-validation: seen classes are held out and treated as unseen (paper section 3.1).

    All combinations of the alternatives are tried. Values are YAML; a list is written in brackets. A key with one value has this
    value in every setting. Only cached features of training images are read, and no stage runs again. The table shows the means
    over folds of hIoU and of seen and unseen mIoU. It also shows the difference in hIoU to the best setting (behind) and its
    standard error (+-); a difference of less than two standard errors may be chance. ZS5Net is scored if a key of pseudo_labels
    or self_training is given, and ZS3Net otherwise. Example:

    zeroshot cross-validate gmmn.lr=0.001,0.002 'gmmn.bandwidths=[1,2],[0.5,1,2]'

    Args:
        parameters: keys of the sections gmmn, classifier, pseudo_labels and self_training with their alternatives.
        one_at_a_time: try params.yaml and each alternative alone, instead of all combinations.
        folds: number of folds (default: classifier.calibration.folds).
        held_out: seen classes held out in each fold (default: classifier.calibration.held_out).
        seed: seed of the folds.
        workers: number of processes (default: runtime.workers; 1 on a GPU).
        csv_path: also write the table to this file, with the hIoU of each fold.
        params_path: parameter file with the values of all other keys.
        split_path: the split.
        features_dir: cache of training pixels.
        embeddings_path: vectors of all classes.
        start_path: the backbone's last layer.
    """
    import dataclasses
    import sys

    from zeroshot.base import errors, params, runtime, storage
    from zeroshot.datasets import splits
    from zeroshot.experiments.parameter_search import fold_jobs, grid, search_jobs, search_table
    from zeroshot.pixel_classifiers.cross_validation import calibration

    for flag, value in (("--folds", folds), ("--held-out", held_out), ("--workers", workers)):
        if value is not None and value < 1:
            raise errors.UserError(f"{flag}: needs a whole number of 1 or more, found {value}")
    if seed < 0:
        raise errors.UserError(f"--seed: needs a number from 0, found {seed}")
    document = params.read(params_path)
    present = {name: params.load(params_path, name, cls) for name, cls in grid.SECTIONS.items()}
    defaults = present["classifier"].calibration
    axes = grid.parse(parameters)
    settings = grid.settings(document, axes, one_at_a_time)
    machine = params.load(params_path, "runtime", runtime.Params)
    device = runtime.start(machine)
    inputs = fold_jobs.Inputs(
        features_dir,
        embeddings_path,
        start_path,
        dataclasses.replace(splits.read(split_path), train=(), unlabelled=(), val=()),
        folds or defaults.folds,
        held_out or defaults.held_out,
        seed,
        device.type,
    )
    workers = workers or runtime.processes(machine, device)
    self_training = grid.scores_zs5net(axes)
    candidates = present["self_training"].biases if self_training else defaults.biases
    biases = candidates or (0.0,)
    curves = search_jobs.search(
        inputs, settings, workers, machine.scratch, defaults.biases, biases if self_training else None
    )

    table = search_table.summarise(settings, curves, biases)
    varied = [key for key in axes if len(axes[key]) > 1] or list(axes)
    named = search_table.name(settings, varied, one_at_a_time)
    print(search_table.text(table, named, [setting.options == present for setting in settings]))
    n_held_out = len(fold_jobs.draw_folds(inputs)[0].held_out)
    model = "ZS5Net" if self_training else "ZS3Net"
    print(f"\n{model}, {len(curves[0])} folds of {n_held_out} seen classes; * best, = {params_path} as it is")
    best = search_table.best_of(table)
    key = "self_training.biases" if self_training else "classifier.calibration.biases"
    if candidates and (warning := calibration.edge_warning(table[best]["bias"], candidates, key)):
        print(warning, file=sys.stderr)
    changes = settings[best].changes
    print(search_table.command(changes) if changes else f"the best setting is {params_path} as it is")
    if csv_path:
        storage.write_csv(csv_path, table)
