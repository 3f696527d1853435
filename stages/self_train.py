"""Train the last layer again with pseudo-labelled features of unseen classes beside real and synthetic ones: ZS5Net."""

import argparse
import pathlib
import sys
import tempfile

import torch

from zeroshot.base import checkpoints, errors, params, progress, runtime, storage
from zeroshot.cache import pools, rows
from zeroshot.datasets import splits
from zeroshot.zs3net import pixel_classifier
from zeroshot.zs3net.classifiers import self_training
from zeroshot.zs3net.cross_validation import calibration, hidden_rows, rehearsal, self_training_cv
from zeroshot.zs3net.generators import gmmn
from zeroshot.zs3net.pseudo_labels import later_rounds, pseudo_cache


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
    parser.add_argument("--rehearsals", type=pathlib.Path, required=True, help="what its rehearsals trained")
    parser.add_argument("--classifier", type=pathlib.Path, required=True, help="out: the classifier of all classes")
    parser.add_argument(
        "--later-rounds", type=pathlib.Path, required=True, help="out: pixels of rounds after the first"
    )
    parser.add_argument("--curve", type=pathlib.Path, required=True, help="out: loss by round and epoch")
    parser.add_argument("--calibration", type=pathlib.Path, required=True, help="out: hIoU by bias and fold")
    paths = parser.parse_args(argv)
    options = params.load("params.yaml", "self_training", self_training.Params)
    settings = params.load("params.yaml", "runtime", runtime.Params)
    device = runtime.device(settings)
    split = splits.read(paths.split)
    start, facts = pixel_classifier.load(paths.start)
    generator = gmmn.load_dict(checkpoints.load(paths.gmmn), device)
    sampled = rows.sample(paths.features, options.pool_per_class, options.seed)
    labelling = pseudo_cache.options_of(paths.pseudo)

    real = pools.select(sampled, split.seen)
    model, pseudo, curve, relabelled = start, paths.pseudo, [], []
    with tempfile.TemporaryDirectory() as scratch:
        for number in range(1, options.rounds + 1):
            if number > 1:
                pseudo = pathlib.Path(scratch) / f"round-{number}"
                relabelled.append(later_rounds.kept(pseudo_cache.write(pseudo, paths.unlabelled, model, labelling, {})))
            labelled = pseudo_cache.pool(pseudo, options.pool_per_class, options.seed)
            epochs = self_training.fit(model, real, labelled, generator, split.unseen, options)
            for row, trained in progress.track(epochs, f"self_train (round {number})", total=options.epochs):
                curve.append({"round": number, **row})
                model = trained

    rehearsals = rehearsal.load_dict(checkpoints.load(paths.rehearsals), device) if options.biases else []
    if rehearsals and labelling.rule == "agreement":
        print(
            "self_train: agreement cannot be rehearsed, as the views of training pixels are of different places;"
            " self_training.biases is not read",
            file=sys.stderr,
        )
        rehearsals = []
    scores = []
    for done in progress.track(rehearsals, "calibrate (folds)", total=len(rehearsals)):
        hidden = hidden_rows.read(paths.features, done.fold.unlabelled)
        figures = self_training_cv.rehearse(done, hidden, sampled, start.seen_bias, labelling, options, options.biases)
        scores.append([figure["hIoU"] for figure in figures])
    curves = calibration.Curves(options.biases, [done.fold.name(split.classes) for done in rehearsals], scores)
    model = curves.calibrate(model)
    if edge := curves.edge("self_training.biases"):
        print(edge, file=sys.stderr)

    recipe = {"self_training": params.to_dict(options), "pseudo_labels": params.to_dict(labelling)}
    pixel_classifier.save(paths.classifier, model.to(torch.device("cpu")), **facts, **recipe)
    later_rounds.write(paths.later_rounds, relabelled)
    storage.write_csv(paths.curve, curve, ["round", "epoch", "loss"])
    storage.write_csv(paths.calibration, curves.table(), calibration.COLUMNS)


if __name__ == "__main__":
    main()
