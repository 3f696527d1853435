"""Train the whole network on seen masks and on sparse pseudo-labels of unlabelled images, as the paper retrains it: ZS5Net."""

import argparse
import dataclasses
import functools
import json
import pathlib
import shutil

from zeroshot.base import checkpoints, errors, params, runtime, scratch, storage
from zeroshot.cache import index, rows
from zeroshot.datasets import splits
from zeroshot.networks import backbone, resuming, training_images
from zeroshot.zs3net import pixel_classifier, self_training_network
from zeroshot.zs3net.pseudo_labels import sparse_masks


@errors.reported
def main(argv: list[str] | None = None) -> None:
    """Run the stage."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=pathlib.Path, required=True, help="data set root")
    parser.add_argument("--split", type=pathlib.Path, required=True)
    parser.add_argument("--masks", type=pathlib.Path, required=True, help="training masks")
    parser.add_argument("--pseudo", type=pathlib.Path, required=True, help="cache of pseudo-labelled pixels")
    parser.add_argument("--backbone", type=pathlib.Path, required=True, help="the network to go on from")
    parser.add_argument("--start", type=pathlib.Path, required=True, help="its last layer, all classes")
    parser.add_argument("--network", type=pathlib.Path, required=True, help="out: the network")
    parser.add_argument("--classifier", type=pathlib.Path, required=True, help="out: its last layer, all classes")
    parser.add_argument("--curve", type=pathlib.Path, required=True, help="out: loss by epoch")
    paths = parser.parse_args(argv)
    options = params.load("params.yaml", "self_training_network", self_training_network.Params)
    settings = params.load("params.yaml", "runtime", runtime.Params)
    device = runtime.device(settings)
    split = splits.read(paths.split)
    start, facts = pixel_classifier.load(paths.start)
    checkpoint = checkpoints.load(paths.backbone)
    recipe = self_training_network.recipe(checkpoint, options)

    # The pictures are those of the data set; all else that training depends on is in these bytes.
    work = scratch.folder(
        settings.scratch,
        "self_train_network",
        json.dumps(params.to_dict(recipe)).encode(),
        *(path.read_bytes() for path in (paths.split, paths.backbone, paths.start, paths.pseudo / index.NAME)),
        scratch.fingerprint(paths.masks, [f"{item.id}.png" for item in split.train]),
        scratch.fingerprint(paths.data, [item.image for item in (*split.train, *split.unlabelled)]),
        str(device).encode(),
    )
    names = index.read(paths.pseudo, "rows").images
    items = sparse_masks.write(work / "masks", split, paths.data, paths.masks, rows.read(paths.pseudo), names)
    every = dataclasses.replace(split, train=tuple(items), seen=tuple(sorted([*split.seen, *split.unseen])))
    dataset = training_images.TrainingImages(every, paths.data, work / "masks", recipe)
    network = self_training_network.build(checkpoint, start)
    train = functools.partial(backbone.fit, network, dataset, recipe, device, settings.workers)
    curve = resuming.run(work / "state.pt", train, "self_train_network", recipe.epochs)

    kept = {name: checkpoint[name] for name in ("classes", "seen", "unseen", "exclude")}
    checkpoints.save(paths.network, {**kept, "config": params.to_dict(recipe), "network": network.state_dict()})
    pixel_classifier.save(paths.classifier, self_training_network.last_layer(network, start), **facts)
    storage.write_csv(paths.curve, curve)
    shutil.rmtree(work)


if __name__ == "__main__":
    main()
