"""Train the segmentation network, DeepLabv3+, on the seen classes."""

import pathlib

from zeroshot.base import command_line


def main(
    *,
    data_root: pathlib.Path,
    training_path: pathlib.Path,
    masks_dir: pathlib.Path,
    weights_path: pathlib.Path,
    vectors_path: pathlib.Path,
    backbone_path: pathlib.Path,
    curve_path: pathlib.Path,
) -> None:
    """Train the segmentation network, DeepLabv3+, on the seen classes.

    Args:
        data_root: folder of the data set; the checksums of its images are in training_path.
        training_path: seen classes and training images.
        masks_dir: masks of the training images.
        weights_path: initial weights of the encoder.
        vectors_path: vectors of the seen classes, or an empty file.
        backbone_path: out: the network.
        curve_path: out: loss by epoch.
    """
    import functools

    import torch

    from zeroshot.base import checkpoints, params, ranks, resuming, runtime
    from zeroshot.datasets import splits
    from zeroshot.networks import backbone, semantic_head, supervised_training, training_images
    from zeroshot.words import class_embeddings

    stage = "train_backbone"
    options = params.load("params.yaml", "backbone", backbone.Params)
    settings = params.load("params.yaml", "runtime", runtime.Params)
    device = runtime.start(settings, settings.threads)
    split = splits.read_training(training_path)

    seen = class_embeddings.read_of(vectors_path, split.names)
    network = backbone.build(options, len(split.seen), weights_path)
    vectors = None if seen is None else semantic_head.directions(torch.from_numpy(seen))
    semantic = None if vectors is None else backbone.build_semantic_head(vectors, options)
    dataset = training_images.TrainingImages(split, data_root, masks_dir, options)
    masks = (masks_dir / f"{item.id}.png" for item in split.train)
    inputs = (training_path, weights_path, vectors_path, *masks)
    state_file = resuming.state_file(settings.scratch, stage, options, device, inputs)
    train = functools.partial(
        supervised_training.fit, network, dataset, options, device, settings.workers, name=stage, semantic=semantic
    )
    with ranks.together(device):
        resuming.run(state_file, train, stage, options.epochs, curve_path)
    if ranks.rank():
        return

    facts = {"seen": list(split.seen), "names": list(split.names), "side": split.side}
    checkpoints.save(backbone_path, {**facts, "config": params.to_dict(options), "network": network.state_dict()})
    state_file.unlink()


if __name__ == "__main__":
    command_line.run(main, shared=True)
