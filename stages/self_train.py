"""Train the last layer again with pseudo-labelled features of unseen classes beside real and synthetic ones: ZS5Net."""

import argparse
import pathlib
import tempfile

import torch

from zs3 import (
    checkpoints,
    errors,
    gmmn,
    params,
    pixel_classifier,
    pools,
    progress,
    pseudo_label_cache,
    runtime,
    self_training,
    splits,
    storage,
)
from zs3.shards import rows


@errors.reported
def main(argv: list[str] | None = None) -> None:
    """Run the stage."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--split", type=pathlib.Path, required=True)
    parser.add_argument("--features", type=pathlib.Path, required=True, help="cache of training pixels")
    parser.add_argument("--unlabelled", type=pathlib.Path, required=True, help="cache of unlabelled pixels")
    parser.add_argument("--pseudo", type=pathlib.Path, required=True, help="cache of pseudo-labelled pixels")
    parser.add_argument("--gmmn", type=pathlib.Path, required=True)
    parser.add_argument("--start", type=pathlib.Path, required=True, help="the classifier that made the pseudo-labels")
    parser.add_argument("--classifier", type=pathlib.Path, required=True, help="out: the classifier of all classes")
    parser.add_argument("--curve", type=pathlib.Path, required=True, help="out: loss by round and epoch")
    paths = parser.parse_args(argv)
    options = params.load("params.yaml", "self_training", self_training.Params)
    settings = params.load("params.yaml", "runtime", runtime.Params)
    device = runtime.device(settings)
    split = splits.read(paths.split)
    model, facts = pixel_classifier.load(paths.start)
    generator = gmmn.load_dict(checkpoints.load(paths.gmmn), device)
    real = pools.select(rows.sample(paths.features, options.pool_per_class, options.seed), split.seen)
    labelling = pseudo_label_cache.options_of(paths.pseudo)

    curve = []
    with tempfile.TemporaryDirectory() as scratch:
        pseudo = paths.pseudo
        for number in range(options.rounds):
            if number:
                pseudo = pathlib.Path(scratch) / f"round-{number}"
                pseudo_label_cache.write(pseudo, paths.unlabelled, model, labelling, {"round": number})
            labelled = pseudo_label_cache.pool(pseudo, options.pool_per_class, options.seed)
            epochs = self_training.fit(model, real, labelled, generator, split.unseen, options)
            for row, trained in progress.track(epochs, f"self_train (round {number + 1})", total=options.epochs):
                curve.append({"round": number + 1, **row})
                model = trained

    recipe = {"self_training": params.to_dict(options), "pseudo_labels": params.to_dict(labelling)}
    pixel_classifier.save(paths.classifier, model.to(torch.device("cpu")), **facts, **recipe)
    storage.write_csv(paths.curve, curve, ["round", "epoch", "loss"])


if __name__ == "__main__":
    main()
