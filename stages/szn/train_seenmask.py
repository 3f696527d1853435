"""Train the seen mask on the cached features, choose its threshold, and save SZN."""

import pathlib

from zeroshot.base import command_line


def main(
    *,
    split_path: pathlib.Path,
    features_dir: pathlib.Path,
    joint_path: pathlib.Path,
    szn_path: pathlib.Path,
    szn_ps_path: pathlib.Path,
    curve_path: pathlib.Path,
    calibration_path: pathlib.Path,
) -> None:
    """Train the seen mask on the cached features, choose its threshold, and save SZN.

    Args:
        split_path: the split with its three roles.
        features_dir: cache of training pixels.
        joint_path: FCN-JE, the classifier of all classes by their vectors.
        szn_path: out: FCN-JE with the seen mask.
        szn_ps_path: out: FCN-JE with a place for the true mask, the upper bound.
        curve_path: out: loss by epoch.
        calibration_path: out: hIoU by threshold and fold.
    """
    import functools
    import sys

    import torch

    from zeroshot.base import errors, params, progress, runtime, storage
    from zeroshot.cache import pools, rows
    from zeroshot.datasets import splits
    from zeroshot.pixel_classifiers import masked_classifier, pixel_classifier
    from zeroshot.pixel_classifiers.cross_validation import calibration
    from zeroshot.szn import joint_embedding, seen_mask, seen_mask_folds

    options = params.load("szn/params.yaml", "seen_mask", seen_mask.Params)
    device = runtime.start(params.load("params.yaml", "runtime", runtime.Params))
    split = splits.read(split_path)
    void = options.void == "unseen"
    if split.unseen and not split.train_unseen and not void:
        raise errors.UserError(f"szn/params.yaml: {seen_mask.NO_TRAIN_UNSEEN}")
    if void and split.exclude == "pixels" and split.unseen:
        raise errors.UserError(f"szn/params.yaml: {seen_mask.UNSEEN_AMONG_IGNORED}")
    joint = pixel_classifier.load(joint_path, split)[0].to(device)
    sampled = rows.sample(features_dir, options.pool_per_class, options.seed, ignored=void)
    if void and not (sampled["label"] == rows.UNLABELLED).any():
        raise errors.UserError(f"szn/params.yaml: {seen_mask.NO_IGNORED_PIXELS}")
    chosen = []
    if options.calibration.enabled and split.unseen:
        chosen = seen_mask_folds.draw(rows.presence(features_dir), split, options)

    real = pools.select(sampled, seen_mask.learnt_labels(split.seen, options))
    epochs = seen_mask.fit(real, split.train_seen, options, device)
    curve = storage.Curve(curve_path)
    weight, bias = progress.train(epochs, "train_seenmask", options.epochs, curve)
    include = options.candidates == "unseen_and_train_unseen"
    masked = joint_embedding.with_mask(joint, split, include, weight, bias)

    train = functools.partial(seen_mask_folds.train_fold, sampled=sampled, joint=joint, split=split, options=options)
    # A fold trains a linear layer, which takes less time than a process needs to start.
    key, thresholds = "seen_mask.calibration.thresholds", options.calibration.thresholds
    calibrated = calibration.calibrate(
        masked, chosen, train, thresholds, key=key, term="threshold", workers=1, track=progress.track
    )
    for warning in calibrated.warnings:
        print(warning, file=sys.stderr)
    recipe = {**splits.roles(split), "config": params.to_dict(options)}
    for path, model in (
        (szn_path, calibrated.classifier),
        (szn_ps_path, joint_embedding.with_mask(joint, split, include)),
    ):
        masked_classifier.save(path, model.to(torch.device("cpu")), **recipe)
    storage.write_csv(calibration_path, calibrated.table, calibration.COLUMNS)


if __name__ == "__main__":
    command_line.run(main)
