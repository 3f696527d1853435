"""Choose the seen bias of FCN-JE on the cached features, and save it with the bias."""

import pathlib

from zeroshot.base import command_line


def main(
    *,
    split_path: pathlib.Path,
    features_dir: pathlib.Path,
    joint_path: pathlib.Path,
    classifier_path: pathlib.Path,
    calibration_path: pathlib.Path,
) -> None:
    """Choose the seen bias of FCN-JE on the cached features, and save it with the bias.

    Args:
        split_path: the split with its three roles.
        features_dir: cache of training pixels.
        joint_path: the classifier of all classes by their vectors, without a bias.
        classifier_path: out: FCN-JE, the same with the chosen bias.
        calibration_path: out: hIoU by bias and fold.
    """
    import functools
    import sys

    import torch

    from zeroshot.base import params, progress, runtime, storage
    from zeroshot.cache import rows
    from zeroshot.datasets import splits
    from zeroshot.pixel_classifiers import pixel_classifier
    from zeroshot.pixel_classifiers.cross_validation import calibration
    from zeroshot.szn import joint_embedding_bias, role_folds

    options = params.load("szn/params.yaml", "joint_embedding", joint_embedding_bias.Params)
    device = runtime.start(params.load("params.yaml", "runtime", runtime.Params))
    split = splits.read(split_path)
    joint = pixel_classifier.load(joint_path, split)[0].to(device)
    chosen = []
    if options.calibrated and split.unseen:
        presence, keys = rows.presence(features_dir), joint_embedding_bias.KEYS
        chosen = role_folds.draw(presence, split, options.hold_out, options.folds, options.held_out, options.seed, keys)
    sampled = rows.sample(features_dir, options.pool_per_class, options.seed)

    score = functools.partial(
        joint_embedding_bias.score_fold, sampled=sampled, joint=joint, split=split, options=options
    )
    calibrated = calibration.calibrate(
        joint,
        chosen,
        score,
        options.biases,
        key="joint_embedding.biases",
        unit=joint_embedding_bias.unit(joint, sampled, options),
        track=progress.track,
    )
    for warning in calibrated.warnings:
        print(warning, file=sys.stderr)
    recipe = {**splits.roles(split), "config": params.to_dict(options)}
    pixel_classifier.save(classifier_path, calibrated.classifier.to(torch.device("cpu")), **recipe)
    storage.write_csv(calibration_path, calibrated.table, calibration.COLUMNS)


if __name__ == "__main__":
    command_line.run(main)
