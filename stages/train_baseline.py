"""Train a zero-shot baseline, DeViSE, ALE or SPNet: a linear map from cached features to class vectors."""

import pathlib
from typing import Literal

from zeroshot.base import command_line


def main(
    *,
    method: Literal["devise", "ale", "spnet"],
    split_path: pathlib.Path,
    features_dir: pathlib.Path,
    embeddings_path: pathlib.Path,
    classifier_path: pathlib.Path,
    curve_path: pathlib.Path,
    calibration_path: pathlib.Path,
    params_path: pathlib.Path = pathlib.Path("params.yaml"),
) -> None:
    """Train a zero-shot baseline, DeViSE, ALE or SPNet: a linear map from cached features to class vectors.

    Args:
        method: the baseline.
        split_path: the split.
        features_dir: cache of training pixels.
        embeddings_path: vectors of all classes.
        classifier_path: out: the classifier of all classes.
        curve_path: out: loss by epoch.
        calibration_path: out: hIoU by seen bias and fold.
        params_path: file with the section baseline; that of the machine is always in params.yaml.
    """
    import functools
    import sys

    import torch

    from zeroshot.base import params, progress, runtime, storage
    from zeroshot.cache import index, pools, rows
    from zeroshot.datasets import splits
    from zeroshot.pixel_classifiers import pixel_classifier
    from zeroshot.pixel_classifiers.cross_validation import calibration, folds
    from zeroshot.words import class_embeddings
    from zeroshot.zs3net.classifiers import baselines

    options = params.load(params_path, "baseline", baselines.Params)
    machine = params.load("params.yaml", "runtime", runtime.Params)
    device = runtime.start(machine)
    workers = runtime.processes(machine, device)
    split = splits.read(split_path)
    # Before the training, which can take an hour, since the split may have too few classes for folds.
    chosen = []
    if getattr(options, method).calibrated and split.unseen:
        presence = rows.presence(features_dir)
        keys = baselines.keys(method).of_cache(index.read(features_dir, "rows"))
        chosen = folds.draw(presence, split, options.folds, options.held_out, options.seed, keys)
    vectors = torch.from_numpy(class_embeddings.read(embeddings_path).vectors).to(device)
    sampled = rows.sample(features_dir, options.pool_per_class, options.seed)

    real = pools.select(sampled, split.seen)
    epochs = baselines.fit(method, real, vectors, split.seen, split.unseen, options)
    model = progress.train(epochs, f"train {method}", options.epochs, storage.Curve(curve_path))

    shared = {"method": method, "sampled": sampled, "embeddings": vectors, "seen": split.seen, "options": options}
    train = functools.partial(baselines.train_fold, **shared)
    unit, key = baselines.spread(model, real, options), "baseline.biases"
    calibrated = calibration.calibrate(
        model, chosen, train, options.biases, key=key, unit=unit, workers=workers, track=progress.track
    )
    for warning in calibrated.warnings:
        print(warning, file=sys.stderr)

    recipe = {"method": method, "config": params.to_dict(options)}
    pixel_classifier.save(
        classifier_path, calibrated.classifier.to(torch.device("cpu")), **splits.roles(split), **recipe
    )
    storage.write_csv(calibration_path, calibrated.table, calibration.COLUMNS)


if __name__ == "__main__":
    command_line.run(main)
