"""Train the last layer again on real, synthetic and pseudo-labelled features: ZS5Net."""

import pathlib

from zeroshot.base import command_line


def main(
    *,
    split_path: pathlib.Path,
    features_dir: pathlib.Path,
    unlabelled_dir: pathlib.Path,
    pseudo_dir: pathlib.Path,
    gmmn_path: pathlib.Path,
    start_path: pathlib.Path,
    cross_validation_path: pathlib.Path,
    classifier_path: pathlib.Path,
    later_rounds_path: pathlib.Path,
    curve_path: pathlib.Path,
    calibration_path: pathlib.Path,
) -> None:
    """Train the last layer again on real, synthetic and pseudo-labelled features: ZS5Net.

    Args:
        split_path: the split.
        features_dir: cache of training pixels.
        unlabelled_dir: cache of unlabelled pixels.
        pseudo_dir: cache of pseudo-labelled pixels.
        gmmn_path: the generator.
        start_path: the classifier that gave the pseudo-labels.
        cross_validation_path: generator and classifier of each fold of cross-validation.
        classifier_path: out: the classifier of all classes.
        later_rounds_path: out: pixels pseudo-labelled in rounds after the first.
        curve_path: out: loss by round and epoch.
        calibration_path: out: hIoU by seen bias and fold.
    """
    import functools
    import sys

    import torch

    from zeroshot.base import checkpoints, params, progress, runtime, storage
    from zeroshot.cache import index, pools, rows
    from zeroshot.datasets import splits
    from zeroshot.pixel_classifiers import pixel_classifier
    from zeroshot.pixel_classifiers.cross_validation import calibration
    from zeroshot.zs3net.classifiers import self_training
    from zeroshot.zs3net.fold_training import fold_models, self_training_folds
    from zeroshot.zs3net.generators import registry
    from zeroshot.zs3net.pseudo_labels import pseudo_cache

    options = params.load("params.yaml", "self_training", self_training.Params)
    machine = params.load("params.yaml", "runtime", runtime.Params)
    device = runtime.start(machine)
    workers = runtime.processes(machine, device)
    split = splits.read(split_path)
    dim = index.read(features_dir, "rows").dim
    start, provenance = pixel_classifier.load(start_path, split, dim)
    generator = registry.load(gmmn_path, device, split.classes, dim)
    sampled = rows.sample(features_dir, options.pool_per_class, options.seed)
    labelling = pseudo_cache.options_of(pseudo_dir)

    real = pools.select(sampled, split.seen)
    model, pseudo, later = start, pseudo_dir, []
    curve = storage.Curve(curve_path)
    with storage.temporary_folder(machine.scratch, "self_train") as scratch:
        for number in range(1, options.rounds + 1):
            if number > 1:
                pseudo = scratch / f"round-{number}"
                tables = pseudo_cache.write(pseudo, unlabelled_dir, model, labelling, {}, split.classes)
                later.append(pseudo_cache.selected_rows(tables))
            labelled = pseudo_cache.pool(pseudo, options.pool_per_class, options.seed)
            epochs = self_training.fit(model, real, labelled, generator, split.unseen, options)
            for row, trained in progress.track(epochs, f"self_train (round {number})", total=options.epochs):
                curve.add({"round": number, **row})
                model = trained

    folds = []
    if options.biases:
        folds = fold_models.load_dict(checkpoints.load(cross_validation_path, fold_models.Checkpoint), device)
    if folds and labelling.rule == "agreement":
        text = f"self_train: {self_training_folds.NO_AGREEMENT}; self_training.biases is ignored"
        print(text, file=sys.stderr)
        folds = []
    shared = {"features_dir": features_dir, "sampled": sampled, "labelling": labelling, "options": options}
    train = functools.partial(self_training_folds.train, **shared, seen_bias=start.seen_bias)
    key = "self_training.biases"
    calibrated = calibration.calibrate(
        model, folds, train, options.biases, key=key, workers=workers, track=progress.track
    )
    for warning in calibrated.warnings:
        print(warning, file=sys.stderr)

    why = None if any(len(table["label"]) for table in later) else pseudo_cache.why_empty(pseudo_dir, split.unseen)
    if why:
        print(f"self_train: no pseudo-labels, since {why}; the row of ZS5Net is no result of self-training")
        provenance["no_pseudo_labels"] = True

    recipe = {"self_training": params.to_dict(options), "pseudo_labels": params.to_dict(labelling)}
    pixel_classifier.save(classifier_path, calibrated.classifier.to(torch.device("cpu")), **provenance, **recipe)
    pseudo_cache.write_later_rounds(later_rounds_path, later)
    storage.write_csv(calibration_path, calibrated.table, calibration.COLUMNS)


if __name__ == "__main__":
    command_line.run(main)
