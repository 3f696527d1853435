"""Train the feature generator on the cached features of seen classes."""

import pathlib

from zeroshot.base import command_line


def main(
    *,
    split_path: pathlib.Path,
    features_dir: pathlib.Path,
    embeddings_path: pathlib.Path,
    context_masks_path: pathlib.Path,
    gmmn_path: pathlib.Path,
    curve_path: pathlib.Path,
    quality_path: pathlib.Path,
    params_path: pathlib.Path = pathlib.Path("params.yaml"),
) -> None:
    """Train the feature generator on the cached features of seen classes.

    Args:
        split_path: the split.
        features_dir: cache of training pixels.
        embeddings_path: vectors of all classes.
        context_masks_path: folder of masks with unseen classes, or an empty file.
        gmmn_path: out: the generator.
        curve_path: out: loss by epoch.
        quality_path: out: MMD on held-out images by class.
        params_path: file with the section gmmn; that of the machine is always in params.yaml.
    """
    import dataclasses
    import sys

    import torch

    from zeroshot.base import checkpoints, params, progress, runtime, storage
    from zeroshot.cache import graphs, index, pools, rows
    from zeroshot.datasets import splits
    from zeroshot.words import class_embeddings
    from zeroshot.zs3net.generators import graph, matching, registry, scenes

    options = params.load(params_path, "gmmn", registry.Params)
    device = runtime.start(params.load("params.yaml", "runtime", runtime.Params))
    split = splits.read(split_path)
    vectors = class_embeddings.read(embeddings_path).vectors
    sampled = rows.sample(features_dir, options.pool_per_class, options.seed)

    train, test = pools.hold_out(sampled, matching.HELD_OUT_SHARE, options.seed)
    real = pools.select(train, split.seen)
    context = scenes.of_rows(graphs.read(features_dir), train, split.seen)
    unseen = graph.unseen_places(
        context_masks_path, split, options.graph, options.seed, index.read(features_dir).stride
    )
    if context and unseen:
        context = dataclasses.replace(context, unseen=unseen)
    generator = registry.build(options, torch.from_numpy(vectors), sampled["features"].shape[1], device)
    curve = storage.Curve(curve_path)
    for row in progress.track(generator.fit(real, context), "train_gmmn", total=options.epochs):
        curve.add(row)
    if curve.rows[-1].get("active_kernels") == 0:
        print(
            "no kernel is active, so the generator learnt nothing: change gmmn.bandwidths or gmmn.kernel",
            file=sys.stderr,
        )
    matching.check_features(generator, real, options, generator.lr_key)

    checkpoints.save(gmmn_path, {"classes": list(split.classes), **registry.save_dict(generator)})
    quality = matching.quality(generator, pools.select(test, split.seen), real, options)
    table = [{"class": split.classes[row.pop("label")], **row} for row in quality]
    storage.write_csv(quality_path, table, ["class", "features", "mmd"])


if __name__ == "__main__":
    command_line.run(main)
