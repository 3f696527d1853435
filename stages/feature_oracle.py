"""An upper bound that READS LABELS OF UNSEEN CLASSES: the last layer trained on their real features, not a zero-shot method."""

import argparse
import dataclasses
import pathlib
import sys

import torch

from zeroshot.base import checkpoints, errors, params, progress, runtime, storage
from zeroshot.cache import index, pools, rows
from zeroshot.datasets import splits
from zeroshot.zs3net import feature_oracle, pixel_classifier
from zeroshot.zs3net.classifiers import fine_tuning
from zeroshot.zs3net.cross_validation import calibration


@errors.reported
def main(argv: list[str] | None = None) -> None:
    """Run the stage."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--split", type=pathlib.Path, required=True)
    parser.add_argument("--features", type=pathlib.Path, required=True, help="cache of training pixels")
    parser.add_argument("--unlabelled", type=pathlib.Path, required=True, help="cache of unlabelled pixels")
    parser.add_argument("--unlabelled-masks", type=pathlib.Path, required=True, help="their labels, unseen ones too")
    parser.add_argument("--start", type=pathlib.Path, required=True, help="the backbone's last layer")
    parser.add_argument("--recipe", type=pathlib.Path, required=True, help="the model whose classifier options to use")
    parser.add_argument("--classifier", type=pathlib.Path, required=True, help="out: the classifier of all classes")
    parser.add_argument("--curve", type=pathlib.Path, required=True, help="out: loss by epoch")
    parser.add_argument("--calibration", type=pathlib.Path, required=True, help="out: hIoU by bias and fold")
    paths = parser.parse_args(argv)
    recipe = checkpoints.load(paths.recipe)["config"]
    options = params.build(recipe, fine_tuning.Params, "classifier", str(paths.recipe))
    device = runtime.device(params.load("params.yaml", "runtime", runtime.Params))
    split = splits.read(paths.split)
    start, facts = pixel_classifier.load(paths.start)
    sampled = rows.sample(paths.features, options.pool_per_class, options.seed)
    everything = [*split.seen, *split.unseen]
    held = feature_oracle.sample(
        paths.unlabelled, paths.unlabelled_masks, everything, options.pool_per_class, options.seed
    )

    unseen = pools.select(held, split.unseen)
    source = feature_oracle.RealFeatures(unseen, torch.zeros(0, device=device))
    # An unseen class of which no pixel was kept gets no row: the oracle cannot know it either.
    epochs = fine_tuning.fit(start, pools.select(sampled, split.seen), source, unseen.labels.tolist(), options)
    curve, trained = zip(*progress.track(epochs, "feature_oracle", total=options.epochs), strict=True)
    model = trained[-1]

    settings = options.calibration
    curves = calibration.Curves(settings.biases)
    if settings.enabled and len(unseen.labels):
        ids = [index.read(folder, "rows").images for folder in (paths.features, paths.unlabelled)]
        done = feature_oracle.cross_validate(sampled, held, tuple(ids), start, split.unseen, options, device)
        scores = dict(progress.track(done, "calibrate (parts)", total=settings.folds))
        curves = dataclasses.replace(curves, held_out=list(scores), scores=list(scores.values()))
        model = curves.calibrate(model)
        if not scores:
            print("feature_oracle: no part of the images shows what another does; there is no bias", file=sys.stderr)
        if edge := curves.edge("classifier.calibration.biases"):
            print(edge, file=sys.stderr)

    pixel_classifier.save(paths.classifier, model.to(torch.device("cpu")), **facts, config=recipe)
    storage.write_csv(paths.curve, curve)
    storage.write_csv(paths.calibration, curves.table(), calibration.COLUMNS)


if __name__ == "__main__":
    main()
