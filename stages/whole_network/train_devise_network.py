"""Train DeViSE with the whole network, as the paper did: DeepLabv3+ whose last layer is a projection to class vectors."""

import argparse
import dataclasses
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
    parser.add_argument("--embeddings", type=pathlib.Path, required=True)
    parser.add_argument("--weights", type=pathlib.Path, required=True, help="initial weights of the trunk")
    parser.add_argument("--recipe", type=pathlib.Path, required=True, help="the backbone whose options to use")
    parser.add_argument("--network", type=pathlib.Path, required=True, help="out: the network")
    parser.add_argument("--classifier", type=pathlib.Path, required=True, help="out: its last layer, all classes")
    parser.add_argument("--curve", type=pathlib.Path, required=True, help="out: loss by epoch")
    paths = parser.parse_args(argv)
    recipe = checkpoints.load(paths.recipe)["config"]
    options = dataclasses.replace(
        params.build(recipe, backbone.Params, "backbone", str(paths.recipe)), freeze="nothing"
    )
    settings = params.load("params.yaml", "runtime", runtime.Params)
    device = runtime.device(settings)
    split = splits.read(paths.split)
    vectors = compatibility.directions(torch.from_numpy(class_embeddings.read(paths.embeddings).vectors))

    network = backbone.build(options, vectors.shape[1], paths.weights)
    dataset = training_images.TrainingImages(split, paths.data, paths.masks, options)
    criterion = compatibility.cosine_criterion(vectors[list(split.seen)].to(device))
    inputs = (options, split, paths.data, paths.masks, device, paths.split, paths.embeddings, paths.weights)
    resume_file = resuming.state_file(settings.scratch, "train_devise_network", *inputs)
    train = functools.partial(backbone.fit, network, dataset, options, device, settings.workers, criterion=criterion)
    rows = resuming.run(resume_file, train, "train_devise_network", options.epochs)

    facts = {name: list(getattr(split, name)) for name in ("classes", "seen", "unseen")}
    facts["exclude"] = split.exclude
    checkpoints.save(paths.network, {**facts, "config": recipe, "network": network.state_dict()})
    projection = network.classifier.cpu()
    model = compatibility.classifier(
        projection.weight.detach()[:, :, 0, 0], projection.bias.detach(), vectors, split.seen, split.unseen
    )
    pixel_classifier.save(paths.classifier, model, **facts)
    storage.write_csv(paths.curve, rows)
    resume_file.unlink()


if __name__ == "__main__":
    main()
