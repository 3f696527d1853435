"""Train an upper bound that READS LABELS OF UNSEEN CLASSES, the last layer on their real features: not a zero-shot method."""

import pathlib

from zeroshot.base import command_line


def main(
    *,
    split_path: pathlib.Path,
    features_dir: pathlib.Path,
    unlabelled_dir: pathlib.Path,
    unlabelled_masks_dir: pathlib.Path,
    start_path: pathlib.Path,
    recipe_path: pathlib.Path,
    classifier_path: pathlib.Path,
    curve_path: pathlib.Path,
    calibration_path: pathlib.Path,
) -> None:
    """Train an upper bound that READS LABELS OF UNSEEN CLASSES, the last layer on their real features: not a zero-shot method.

    Args:
        split_path: the split.
        features_dir: cache of training pixels.
        unlabelled_dir: cache of unlabelled pixels.
        unlabelled_masks_dir: masks of the unlabelled images, with unseen classes.
        start_path: the backbone's last layer.
        recipe_path: ZS3Net; its options of the classifier are used.
        classifier_path: out: the classifier of all classes.
        curve_path: out: loss by epoch.
        calibration_path: out: hIoU by seen bias and fold of images.
    """
    import functools
    import sys

    import torch

    from zeroshot.base import checkpoints, params, progress, runtime, storage
    from zeroshot.cache import held_labels, index, pools, rows
    from zeroshot.datasets import splits
    from zeroshot.pixel_classifiers import pixel_classifier
    from zeroshot.pixel_classifiers.cross_validation import calibration
    from zeroshot.zs3net import feature_source
    from zeroshot.zs3net.classifiers import fine_tuning
    from zeroshot.zs3net.fold_training import oracle_folds

    recipe = checkpoints.load(recipe_path, checkpoints.Configured)["config"]
    # The weight of unseen classes makes up for synthetic features. Real ones need none.
    options = params.build(recipe | {"unseen_weight": 1.0}, fine_tuning.Params, "classifier", str(recipe_path))
    machine = params.load("params.yaml", "runtime", runtime.Params)
    device = runtime.start(machine)
    workers = runtime.processes(machine, device)
    split = splits.read(split_path)
    start, provenance = pixel_classifier.load(start_path, split, index.read(features_dir, "rows").dim)
    sampled = rows.sample(features_dir, options.pool_per_class, options.seed)
    labels = [*split.seen, *split.unseen]
    revealed = held_labels.sample(unlabelled_dir, unlabelled_masks_dir, labels, options.pool_per_class, options.seed)

    unseen = pools.select(revealed, split.unseen)
    if not len(unseen.labels):
        reason = "no unlabelled image has a mask with an unseen class" if split.unseen else "there is no unseen class"
        print(f"feature_oracle: {reason}, so the model knows no unseen class and its row is no upper bound")
    source = feature_source.RealFeatures(unseen, device)
    # An unseen class without sampled pixels has no row in the classifier.
    epochs = fine_tuning.fit(start, pools.select(sampled, split.seen), source, unseen.labels.tolist(), options)
    model = progress.train(epochs, "feature_oracle", options.epochs, storage.Curve(curve_path))

    settings, folds = options.calibration, []
    if settings.enabled and len(unseen.labels):
        ids = (index.read(features_dir, "rows").images, index.read(unlabelled_dir, "rows").images)
        folds = oracle_folds.split_images(sampled, revealed, ids, split.unseen, settings.folds, options.seed)
    shared = {"sampled": sampled, "revealed": revealed, "start": start, "options": options}
    shared |= {"seen": split.seen, "unseen": split.unseen}
    train = functools.partial(oracle_folds.train_fold, **shared, device=device)
    key = "classifier.calibration.biases"
    calibrated = calibration.calibrate(
        model, folds, train, settings.biases, key=key, workers=workers, track=progress.track
    )
    for warning in calibrated.warnings:
        print(warning, file=sys.stderr)

    provenance["config"] = params.to_dict(options)
    pixel_classifier.save(classifier_path, calibrated.classifier.to(torch.device("cpu")), **provenance)
    storage.write_csv(calibration_path, calibrated.table, calibration.COLUMNS)


if __name__ == "__main__":
    command_line.run(main)
