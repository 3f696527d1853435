"""Train the generator of features on the seen classes of the cache."""

import argparse
import pathlib
import sys

import torch

from zs3 import checkpoints, embeddings, errors, gmmn, params, pools, progress, runtime, splits, storage
from zs3.shards import rows


@errors.reported
def main(argv: list[str] | None = None) -> None:
    """Run the stage."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--split", type=pathlib.Path, required=True)
    parser.add_argument("--features", type=pathlib.Path, required=True, help="cache of training pixels")
    parser.add_argument("--embeddings", type=pathlib.Path, required=True)
    parser.add_argument("--gmmn", type=pathlib.Path, required=True, help="out: the generator")
    parser.add_argument("--curve", type=pathlib.Path, required=True, help="out: loss by epoch")
    parser.add_argument("--quality", type=pathlib.Path, required=True, help="out: held-out MMD by class")
    paths = parser.parse_args(argv)
    options = params.load("params.yaml", "gmmn", gmmn.Params)
    settings = params.load("params.yaml", "runtime", runtime.Params)
    split = splits.read(paths.split)
    vectors = embeddings.read(paths.embeddings).vectors
    sampled = rows.sample(paths.features, options.pool_per_class, options.seed)

    train, test = pools.hold_out(sampled, gmmn.HELD_OUT_SHARE, options.seed)
    real = pools.select(train, split.seen)
    generator = gmmn.build(options, torch.from_numpy(vectors), sampled["features"].shape[1], runtime.device(settings))
    curve = list(progress.track(gmmn.fit(generator, real), "train_gmmn", total=options.epochs))

    if curve[-1].get("live_kernels") == 0:
        print("no kernel is alive, so nothing was learnt: change gmmn.bandwidths or gmmn.kernel", file=sys.stderr)
    checkpoints.save(paths.gmmn, {"classes": list(split.classes), **gmmn.save_dict(generator)})
    quality = [
        {"class": split.classes[row.pop("label")], **row}
        for row in gmmn.quality(generator, pools.select(test, split.seen), real)
    ]
    storage.write_csv(paths.curve, curve)
    storage.write_csv(paths.quality, quality, ["class", "features", "mmd"])


if __name__ == "__main__":
    main()
