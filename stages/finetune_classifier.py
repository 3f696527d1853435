"""Fine-tune the last layer on real seen and synthetic unseen features, and calibrate its bias towards seen classes."""

import argparse
import dataclasses
import pathlib
import sys

import torch

from zeroshot.base import checkpoints, errors, params, progress, runtime, storage
from zeroshot.cache import graphs as shard_graphs
from zeroshot.cache import pools, rows
from zeroshot.datasets import splits
from zeroshot.zs3net import pixel_classifier
from zeroshot.zs3net.classifiers import fine_tuning
from zeroshot.zs3net.cross_validation import calibration, folds, rehearsal, zero_shot_cv
from zeroshot.zs3net.generators import gmmn


@errors.reported
def main(argv: list[str] | None = None) -> None:
    """Run the stage."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--split", type=pathlib.Path, required=True)
    parser.add_argument("--features", type=pathlib.Path, required=True, help="cache of training pixels")
    parser.add_argument("--gmmn", type=pathlib.Path, required=True)
    parser.add_argument("--start", type=pathlib.Path, required=True, help="the backbone's last layer")
    parser.add_argument("--classifier", type=pathlib.Path, required=True, help="out: the classifier of all classes")
    parser.add_argument("--curve", type=pathlib.Path, required=True, help="out: loss by epoch")
    parser.add_argument("--rehearsals", type=pathlib.Path, required=True, help="out: what the folds trained")
    parser.add_argument("--calibration", type=pathlib.Path, required=True, help="out: hIoU by bias and fold")
    paths = parser.parse_args(argv)
    options = params.load("params.yaml", "classifier", fine_tuning.Params)
    settings = params.load("params.yaml", "runtime", runtime.Params)
    device = runtime.device(settings)
    split = splits.read(paths.split)
    start, facts = pixel_classifier.load(paths.start)
    generator = gmmn.load_dict(checkpoints.load(paths.gmmn), device)
    sampled = rows.sample(paths.features, options.pool_per_class, options.seed)

    epochs = fine_tuning.fit(start, pools.select(sampled, split.seen), generator, split.unseen, options)
    curve, trained = zip(*progress.track(epochs, "finetune_classifier", total=options.epochs), strict=True)
    model = trained[-1]

    rehearsals, curves = [], calibration.Curves(options.calibration.biases)
    if options.calibration.enabled and split.unseen:
        drawn = folds.draw(
            rows.presence(paths.features),
            split.seen,
            options.calibration.folds,
            options.calibration.held_out,
            split.exclude,
            options.seed,
        )
        common = (sampled, start, generator.embeddings.cpu(), generator.options, options)
        graphs = shard_graphs.read(paths.features)
        # One process is enough for a GPU.
        at_a_time = 1 if device.type == "cuda" else max(1, settings.workers)
        answers = zero_shot_cv.rehearse_all(drawn, common, device, at_a_time, graphs)
        answers = sorted(progress.track(answers, "calibrate (folds)", total=len(drawn)), key=lambda answer: answer[0])
        _, rehearsals, figures = zip(*answers, strict=True)
        scores = [[figure["hIoU"] for figure in fold] for fold in figures]
        curves = dataclasses.replace(curves, held_out=[fold.name(split.classes) for fold in drawn], scores=scores)
        model = curves.calibrate(model)
        if edge := curves.edge("classifier.calibration.biases"):
            print(edge, file=sys.stderr)

    # A generator that was told where unseen classes truly stand is named in every result.
    if generator.options.generator == "graph":
        facts = {**facts, "graph_context": generator.options.graph.context}
    recipe = {"config": params.to_dict(options), "gmmn": params.to_dict(generator.options)}
    checkpoints.save(paths.rehearsals, rehearsal.save_dict(rehearsals))
    pixel_classifier.save(paths.classifier, model.to(torch.device("cpu")), **facts, **recipe)
    storage.write_csv(paths.curve, curve)
    storage.write_csv(paths.calibration, curves.table(), calibration.COLUMNS)


if __name__ == "__main__":
    main()
