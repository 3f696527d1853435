"""Train a zero-shot baseline on the cached features: a linear map into the space of class vectors, by DeViSE, ALE or SPNet."""

import argparse
import dataclasses
import pathlib
import sys

import torch

from zeroshot.base import errors, params, progress, runtime, storage
from zeroshot.cache import pools, rows
from zeroshot.datasets import splits
from zeroshot.words import class_embeddings
from zeroshot.zs3net import pixel_classifier
from zeroshot.zs3net.classifiers import baselines
from zeroshot.zs3net.cross_validation import calibration, folds


@errors.reported
def main(argv: list[str] | None = None) -> None:
    """Run the stage."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--method", choices=baselines.LOSSES, required=True)
    parser.add_argument("--split", type=pathlib.Path, required=True)
    parser.add_argument("--features", type=pathlib.Path, required=True, help="cache of training pixels")
    parser.add_argument("--embeddings", type=pathlib.Path, required=True)
    parser.add_argument("--classifier", type=pathlib.Path, required=True, help="out: the classifier of all classes")
    parser.add_argument("--curve", type=pathlib.Path, required=True, help="out: loss by epoch")
    parser.add_argument("--calibration", type=pathlib.Path, required=True, help="out: hIoU by bias and fold")
    args = parser.parse_args(argv)
    options = params.load("params.yaml", "baseline", baselines.Params)
    device = runtime.device(params.load("params.yaml", "runtime", runtime.Params))
    split = splits.read(args.split)
    vectors = torch.from_numpy(class_embeddings.read(args.embeddings).vectors).to(device)
    sampled = rows.sample(args.features, options.pool_per_class, options.seed)

    real = pools.select(sampled, split.seen)
    epochs = baselines.fit(args.method, real, vectors, split.seen, split.unseen, options)
    curve, trained = zip(*progress.track(epochs, f"train {args.method}", total=options.epochs), strict=True)
    model = trained[-1]

    curves = calibration.Curves(options.biases)
    if getattr(options, args.method).calibrated and split.unseen:
        shown = rows.presence(args.features)
        drawn = folds.draw(shown, split.seen, options.folds, options.held_out, split.exclude, options.seed)
        done = baselines.rehearse(args.method, drawn, sampled, vectors, split.seen, options)
        scores = list(progress.track(done, "calibrate (folds)", total=len(drawn)))
        curves = dataclasses.replace(curves, held_out=[fold.name(split.classes) for fold in drawn], scores=scores)
        model = curves.calibrate(model, baselines.spread(model, real, options))
        if edge := curves.edge("baseline.biases"):
            print(edge, file=sys.stderr)

    facts = {name: list(getattr(split, name)) for name in ("classes", "seen", "unseen")}
    recipe = {"exclude": split.exclude, "method": args.method, "config": params.to_dict(options)}
    pixel_classifier.save(args.classifier, model.to(torch.device("cpu")), **facts, **recipe)
    storage.write_csv(args.curve, curve)
    storage.write_csv(args.calibration, curves.table(), calibration.COLUMNS)


if __name__ == "__main__":
    main()
