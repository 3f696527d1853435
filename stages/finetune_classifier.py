"""Fine-tune the last layer on real seen and synthetic unseen features, and calibrate its bias towards seen classes."""

import pathlib

from zeroshot.base import command_line


def main(
    *,
    split_path: pathlib.Path,
    features_dir: pathlib.Path,
    gmmn_path: pathlib.Path,
    start_path: pathlib.Path,
    classifier_path: pathlib.Path,
    cross_validation_path: pathlib.Path,
    curve_path: pathlib.Path,
    calibration_path: pathlib.Path,
) -> None:
    """Fine-tune the last layer on real seen and synthetic unseen features, and calibrate its bias towards seen classes.

    Args:
        split_path: the split.
        features_dir: cache of training pixels.
        gmmn_path: the generator.
        start_path: the backbone's last layer.
        classifier_path: out: the classifier of all classes.
        cross_validation_path: out: what the folds of cross-validation trained.
        curve_path: out: loss by epoch.
        calibration_path: out: hIoU by bias and fold.
    """
    import dataclasses
    import sys

    import torch

    from zeroshot.base import checkpoints, params, progress, runtime, storage
    from zeroshot.cache import graphs as shard_graphs
    from zeroshot.cache import pools, rows
    from zeroshot.datasets import splits
    from zeroshot.zs3net import pixel_classifier
    from zeroshot.zs3net.classifiers import fine_tuning
    from zeroshot.zs3net.cross_validation import calibration, folds, rehearsal, zero_shot_cv
    from zeroshot.zs3net.generators import registry

    options = params.load("params.yaml", "classifier", fine_tuning.Params)
    settings = params.load("params.yaml", "runtime", runtime.Params)
    device = runtime.start(settings)
    split = splits.read(split_path)
    start, provenance = pixel_classifier.load(start_path)
    generator = registry.load_dict(checkpoints.load(gmmn_path), device)
    sampled = rows.sample(features_dir, options.pool_per_class, options.seed)

    epochs = fine_tuning.fit(start, pools.select(sampled, split.seen), generator, split.unseen, options)
    curve = storage.Curve(curve_path)
    for row, trained in progress.track(epochs, "finetune_classifier", total=options.epochs):
        curve.add(row)
        model = trained

    rehearsals, curves = [], calibration.Curves(options.calibration.biases)
    if options.calibration.enabled and split.unseen:
        drawn = folds.draw(
            rows.presence(features_dir),
            split.seen,
            options.calibration.folds,
            options.calibration.held_out,
            split.exclude,
            options.seed,
        )
        common = (sampled, start, generator.embeddings.cpu(), generator.options, options)
        graphs = shard_graphs.read(features_dir)
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

    # A generator that was told where unseen classes truly are is named in every result.
    if generator.options.generator == "graph":
        provenance = {**provenance, "graph_context": generator.options.graph.context}
    recipe = {"config": params.to_dict(options), "gmmn": params.to_dict(generator.options)}
    checkpoints.save(cross_validation_path, rehearsal.save_dict(rehearsals))
    pixel_classifier.save(classifier_path, model.to(torch.device("cpu")), **provenance, **recipe)
    storage.write_csv(calibration_path, curves.table(), calibration.COLUMNS)


if __name__ == "__main__":
    command_line.run(main)
