"""Train the whole network on masks of seen classes and sparse pseudo-labels, as in the paper: ZS5Net."""

import pathlib

from zeroshot.base import command_line


def main(
    *,
    data_root: pathlib.Path,
    split_path: pathlib.Path,
    masks_dir: pathlib.Path,
    pseudo_dir: pathlib.Path,
    backbone_path: pathlib.Path,
    start_path: pathlib.Path,
    network_path: pathlib.Path,
    classifier_path: pathlib.Path,
    curve_path: pathlib.Path,
) -> None:
    """Train the whole network on masks of seen classes and sparse pseudo-labels, as in the paper: ZS5Net.

    Args:
        data_root: folder of the data set.
        split_path: the split.
        masks_dir: masks of the training images.
        pseudo_dir: cache of pseudo-labelled pixels.
        backbone_path: the network to start from.
        start_path: classifier of all classes to start from.
        network_path: out: the network.
        classifier_path: out: the last layer of the network, for all classes.
        curve_path: out: loss by epoch.
    """
    import dataclasses
    import functools
    import json
    import shutil

    from zeroshot.base import checkpoints, params, resuming, runtime
    from zeroshot.cache import index, rows
    from zeroshot.datasets import splits
    from zeroshot.networks import backbone, supervised_training, training_images
    from zeroshot.pixel_classifiers import pixel_classifier
    from zeroshot.zs3net import self_training_network
    from zeroshot.zs3net.pseudo_labels import pseudo_cache, sparse_masks

    stage = "self_train_network"
    options = params.load("params.yaml", "self_training_network", self_training_network.Params)
    settings = params.load("params.yaml", "runtime", runtime.Params)
    device = runtime.start(settings, settings.threads)
    split = splits.read(split_path)
    splits.check_all_learnt(split, stage)
    start, provenance = pixel_classifier.load(start_path, split)
    pseudo = index.read(pseudo_dir, "rows")
    why = pseudo_cache.why_empty(pseudo_dir, split.unseen)
    if why:
        print(f"{stage}: no pseudo-labels, since {why}; the row of ZS5Net is no result of self-training")
        provenance["no_pseudo_labels"] = True
    checkpoint = checkpoints.load(backbone_path, backbone.Checkpoint)
    recipe = self_training_network.recipe(checkpoint, options)

    # The name of the folder is a hash of everything that training depends on.
    work = resuming.folder(
        settings.scratch,
        stage,
        json.dumps(params.to_dict(recipe)).encode(),
        *(path.read_bytes() for path in (split_path, backbone_path, start_path, pseudo_dir / index.NAME)),
        resuming.fingerprint(masks_dir / f"{item.id}.png" for item in split.train),
        resuming.fingerprint(data_root / item.image for item in (*split.train, *split.unlabelled)),
        resuming.computed_by(device),
    )
    items = sparse_masks.write(
        work / "masks", split, data_root, masks_dir, rows.read(pseudo_dir), pseudo.images, pseudo.stride
    )
    every = dataclasses.replace(split, train=tuple(items), seen=tuple(sorted([*split.seen, *split.unseen])))
    dataset = training_images.TrainingImages(every, data_root, work / "masks", recipe)
    network = self_training_network.build(checkpoint, start)
    lr_key = self_training_network.LR_KEY
    train = functools.partial(
        supervised_training.fit, network, dataset, recipe, device, settings.workers, name=stage, lr_key=lr_key
    )
    resuming.run(work / "state.pt", train, stage, recipe.epochs, curve_path)

    facts = {name: checkpoint[name] for name in ("seen", "names", "side")}
    trained = {"config": params.to_dict(recipe), "lr_key": lr_key, "network": network.state_dict()}
    checkpoints.save(network_path, {**facts, **trained})
    pixel_classifier.save(classifier_path, self_training_network.last_layer(network, start), **provenance)
    shutil.rmtree(work)


if __name__ == "__main__":
    command_line.run(main)
