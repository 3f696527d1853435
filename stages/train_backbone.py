"""Train DeepLabv3+ on the seen classes and keep its last layer beside it as the model without zero-shot learning."""

import argparse
import functools
import pathlib

import torch

from zeroshot.base import checkpoints, errors, params, runtime, storage
from zeroshot.datasets import splits
from zeroshot.networks import backbone, resuming, training_images
from zeroshot.words import class_embeddings
from zeroshot.zs3net import pixel_classifier
from zeroshot.zs3net.classifiers import compatibility


@errors.reported
def main(argv: list[str] | None = None) -> None:
    """Run the stage."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=pathlib.Path, required=True, help="data set root")
    parser.add_argument("--split", type=pathlib.Path, required=True)
    parser.add_argument("--masks", type=pathlib.Path, required=True, help="training masks")
    parser.add_argument("--weights", type=pathlib.Path, required=True, help="initial weights of the trunk")
    parser.add_argument("--vectors", type=pathlib.Path, required=True, help="vectors of seen classes, or an empty file")
    parser.add_argument("--backbone", type=pathlib.Path, required=True, help="out: the network")
    parser.add_argument("--classifier", type=pathlib.Path, required=True, help="out: its last layer, seen classes only")
    parser.add_argument("--curve", type=pathlib.Path, required=True, help="out: loss by epoch")
    paths = parser.parse_args(argv)
    options = params.load("params.yaml", "backbone", backbone.Params)
    settings = params.load("params.yaml", "runtime", runtime.Params)
    split = splits.read(paths.split)

    seen = class_embeddings.read_of(paths.vectors, [split.classes[label] for label in split.seen])
    network = backbone.build(options, len(split.seen), paths.weights)
    vectors = None if seen is None else compatibility.directions(torch.from_numpy(seen))
    semantic = None if vectors is None else backbone.build_semantic_head(vectors, options)
    dataset = training_images.TrainingImages(split, paths.data, paths.masks, options)
    device = runtime.device(settings)
    inputs = (options, split, paths.data, paths.masks, device, paths.split, paths.weights, paths.vectors)
    resume_file = resuming.state_file(settings.scratch, "train_backbone", *inputs)
    train = functools.partial(backbone.fit, network, dataset, options, device, settings.workers, semantic=semantic)
    rows = resuming.run(resume_file, train, "train_backbone", options.epochs)

    facts = {
        "classes": list(split.classes),
        "seen": list(split.seen),
        "unseen": list(split.unseen),
        "exclude": split.exclude,
    }
    checkpoints.save(paths.backbone, {**facts, "config": params.to_dict(options), "network": network.state_dict()})
    pixel_classifier.save(paths.classifier, backbone.last_layer(network, split), **facts)
    storage.write_csv(paths.curve, rows)
    resume_file.unlink()


if __name__ == "__main__":
    main()
