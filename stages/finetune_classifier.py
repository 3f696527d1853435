"""Fine-tune the last layer on real seen and synthetic unseen features, and calibrate its bias towards seen classes."""

import pathlib

from zeroshot.base import command_line


def main(
    *,
    split_path: pathlib.Path,
    features_dir: pathlib.Path,
    gmmn_path: pathlib.Path,
    start_path: pathlib.Path,
    classifier_path: pathlib.Path,
    cross_validation_path: pathlib.Path,
    curve_path: pathlib.Path,
    calibration_path: pathlib.Path,
    params_path: pathlib.Path = pathlib.Path("params.yaml"),
) -> None:
    """Fine-tune the last layer on real seen and synthetic unseen features, and calibrate its bias towards seen classes.

    Args:
        split_path: the split.
        features_dir: cache of training pixels.
        gmmn_path: the generator.
        start_path: the backbone's last layer.
        classifier_path: out: the classifier of all classes.
        cross_validation_path: out: generator and classifier of each fold of cross-validation.
        curve_path: out: loss by epoch.
        calibration_path: out: hIoU by seen bias and fold.
        params_path: file with the section classifier; that of the machine is always in params.yaml.
    """
    import functools
    import sys

    import torch

    from zeroshot.base import checkpoints, params, progress, runtime, storage
    from zeroshot.cache import graphs as shard_graphs
    from zeroshot.cache import index, pools, rows
    from zeroshot.datasets import splits
    from zeroshot.pixel_classifiers import pixel_classifier
    from zeroshot.pixel_classifiers.cross_validation import calibration, folds
    from zeroshot.zs3net.classifiers import fine_tuning
    from zeroshot.zs3net.fold_training import fold_models
    from zeroshot.zs3net.generators import registry

    described = index.read(features_dir, "rows")
    options = fine_tuning.with_steps(params.load(params_path, "classifier", fine_tuning.Params), len(described.images))
    machine = params.load("params.yaml", "runtime", runtime.Params)
    device = runtime.start(machine)
    workers = runtime.processes(machine, device)
    split = splits.read(split_path)
    # Before the training, which can take an hour, since the split may have too few classes for folds.
    settings, chosen = options.calibration, []
    if settings.enabled and split.unseen:
        presence, keys = rows.presence(features_dir), folds.CLASSIFIER.of_cache(described)
        chosen = folds.draw(presence, split, settings.folds, settings.held_out, options.seed, keys)
    start, provenance = pixel_classifier.load(start_path, split, described.dim)
    generator = registry.load(gmmn_path, device, split.classes, described.dim)
    sampled = rows.sample(features_dir, options.pool_per_class, options.seed)

    epochs = fine_tuning.fit(start, pools.select(sampled, split.seen), generator, split.unseen, options)
    model = progress.train(epochs, "finetune_classifier", options.epochs, storage.Curve(curve_path))

    shared = {"sampled": sampled, "seen": split.seen, "start": start, "like": generator, "options": options}
    train = functools.partial(fold_models.train, **shared, graphs=shard_graphs.read(features_dir))
    key = "classifier.calibration.biases"
    calibrated = calibration.calibrate(
        model, chosen, train, settings.biases, key=key, workers=workers, track=progress.track
    )
    for warning in calibrated.warnings:
        print(warning, file=sys.stderr)

    recipe = {**generator.provenance, "config": params.to_dict(options), "gmmn": params.to_dict(generator.options)}
    checkpoints.save(cross_validation_path, fold_models.save_dict(calibrated.models))
    pixel_classifier.save(classifier_path, calibrated.classifier.to(torch.device("cpu")), **provenance, **recipe)
    storage.write_csv(calibration_path, calibrated.table, calibration.COLUMNS)


if __name__ == "__main__":
    command_line.run(main)
