"""Train DeViSE with the whole network, as in the paper: DeepLabv3+ with a projection to class vectors as its last layer."""

import pathlib

from zeroshot.base import command_line


def main(
    *,
    data_root: pathlib.Path,
    split_path: pathlib.Path,
    masks_dir: pathlib.Path,
    embeddings_path: pathlib.Path,
    weights_path: pathlib.Path,
    recipe_path: pathlib.Path,
    network_path: pathlib.Path,
    classifier_path: pathlib.Path,
    curve_path: pathlib.Path,
) -> None:
    """Train DeViSE with the whole network, as in the paper: DeepLabv3+ with a projection to class vectors as its last layer.

    Args:
        data_root: folder of the data set.
        split_path: the split.
        masks_dir: masks of the training images.
        embeddings_path: vectors of all classes.
        weights_path: initial weights of the encoder.
        recipe_path: the backbone; its options are used.
        network_path: out: the network.
        classifier_path: out: the last layer of the network, for all classes.
        curve_path: out: loss by epoch.
    """
    import dataclasses
    import functools
    import itertools

    import torch

    from zeroshot.base import checkpoints, params, resuming, runtime
    from zeroshot.datasets import splits
    from zeroshot.networks import backbone, semantic_head, supervised_training, training_images
    from zeroshot.pixel_classifiers import compatibility, pixel_classifier
    from zeroshot.words import class_embeddings

    trained = checkpoints.load(recipe_path, backbone.Checkpoint)
    recipe = trained["config"]
    stage = "train_devise_network"
    options = params.build(recipe, backbone.Params, "backbone", str(recipe_path))
    options = dataclasses.replace(options, freeze="nothing")
    settings = params.load("params.yaml", "runtime", runtime.Params)
    device = runtime.start(settings, settings.threads)
    split = splits.read(split_path)
    splits.check_all_learnt(split, stage)
    vectors = semantic_head.directions(torch.from_numpy(class_embeddings.read(embeddings_path).vectors))

    network = backbone.build(options, vectors.shape[1], weights_path)
    dataset = training_images.TrainingImages(split, data_root, masks_dir, options)
    criterion = compatibility.cosine_criterion(vectors[list(split.seen)].to(device))
    files = [(data_root / item.image, masks_dir / f"{item.id}.png") for item in split.train]
    inputs = (split_path, embeddings_path, weights_path, *itertools.chain.from_iterable(files))
    state_file = resuming.state_file(settings.scratch, stage, options, device, inputs)
    train = functools.partial(
        supervised_training.fit, network, dataset, options, device, settings.workers, name=stage, criterion=criterion
    )
    resuming.run(state_file, train, stage, options.epochs, curve_path)

    facts = {name: trained[name] for name in ("seen", "names", "side")}
    checkpoints.save(network_path, {**facts, "config": recipe, "network": network.state_dict()})
    state = network.state_dict()
    weight, bias = state["classifier.weight"].cpu()[:, :, 0, 0], state["classifier.bias"].cpu()
    model = compatibility.classifier(weight, bias, vectors, split.seen, split.unseen)
    pixel_classifier.save(classifier_path, model, **splits.roles(split))
    state_file.unlink()


if __name__ == "__main__":
    command_line.run(main)
