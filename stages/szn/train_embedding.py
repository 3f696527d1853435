"""Train the network of SZN on the classes of train_seen: outputs are class vectors (FCN-JE), or scores of classes (FCN-S)."""

import pathlib
from typing import Literal

from zeroshot.base import command_line


def main(
    *,
    data_root: pathlib.Path,
    training_path: pathlib.Path,
    masks_dir: pathlib.Path,
    weights_path: pathlib.Path,
    embeddings_path: pathlib.Path | None = None,
    network_path: pathlib.Path,
    curve_path: pathlib.Path,
    target: Literal["embedding", "softmax"],
) -> None:
    """Train the network of SZN on the classes of train_seen: outputs are class vectors (FCN-JE), or scores of classes (FCN-S).

    Args:
        data_root: folder of the data set; the checksums of its images are in training_path.
        training_path: classes of train_seen, and images that show them alone.
        masks_dir: masks of the training images.
        weights_path: initial weights of the encoder.
        embeddings_path: vectors of all classes; required with target embedding.
        network_path: out: the network.
        curve_path: out: loss by epoch.
        target: what the outputs are, class vectors or scores of classes.
    """
    import functools
    import sys

    import torch

    from zeroshot.base import checkpoints, errors, params, ranks, resuming, runtime
    from zeroshot.datasets import splits
    from zeroshot.networks import backbone, supervised_training, training_images
    from zeroshot.szn import network as szn_network
    from zeroshot.words import class_embeddings

    stage = f"train_embedding ({target})"
    options = params.load("szn/params.yaml", "network", szn_network.Params)
    settings = params.load("params.yaml", "runtime", runtime.Params)
    device = runtime.start(settings, settings.threads)
    split = splits.read_training(training_path)

    if target == "softmax":
        # One output for each class of train_seen; the original has always 21, so it cannot run on Pascal-Context. Its loss is the sum over
        # the pixels, and here it is their mean: with SGD, its rate of 1e-10 is about 2e-5 here, for an image of 366 x 500 pixels.
        n_outputs, criterion = len(split.seen), supervised_training.cross_entropy
    elif embeddings_path is None:
        raise errors.UserError("train_embedding: --target embedding needs --embeddings-path")
    else:
        vectors = torch.from_numpy(class_embeddings.read_rows(embeddings_path, split.names))
        n_outputs, criterion = vectors.shape[1], szn_network.criterion(options.loss, vectors.to(device), split.names)
        if warning := szn_network.warning(options.loss, n_outputs):
            print(warning, file=sys.stderr)
    network = backbone.build(options, n_outputs, weights_path, szn_network.SECTION)
    dataset = training_images.TrainingImages(split, data_root, masks_dir, options)
    masks = (masks_dir / f"{item.id}.png" for item in split.train)
    inputs = (training_path, weights_path, *filter(None, [embeddings_path]), *masks)
    state_file = resuming.state_file(settings.scratch, f"train_embedding_{target}", options, device, inputs)
    train = functools.partial(
        supervised_training.fit,
        network,
        dataset,
        options,
        device,
        settings.workers,
        criterion=criterion,
        name=stage,
        lr_key=szn_network.LR_KEY,
    )
    with ranks.together(device):
        resuming.run(state_file, train, stage, options.epochs, curve_path)
    if ranks.rank():
        return

    facts = {"seen": list(split.seen), "names": list(split.names), "side": split.side, "target": target}
    trained = {"config": params.to_dict(options), "lr_key": szn_network.LR_KEY, "network": network.state_dict()}
    checkpoints.save(network_path, {**facts, **trained})
    state_file.unlink()


if __name__ == "__main__":
    command_line.run(main, shared=True)
