"""Train the generator of features on the seen classes of the cache."""

import argparse
import dataclasses
import pathlib
import sys

import torch

from zeroshot.base import checkpoints, errors, params, progress, runtime, storage
from zeroshot.cache import graphs, mask_graphs, pools, rows
from zeroshot.datasets import splits
from zeroshot.images import image_files
from zeroshot.words import class_embeddings
from zeroshot.zs3net.generators import gmmn, neighbourhoods


@errors.reported
def main(argv: list[str] | None = None) -> None:
    """Run the stage."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--split", type=pathlib.Path, required=True)
    parser.add_argument("--features", type=pathlib.Path, required=True, help="cache of training pixels")
    parser.add_argument("--embeddings", type=pathlib.Path, required=True)
    parser.add_argument(
        "--context-masks", type=pathlib.Path, required=True, help="masks with unseen classes, or an empty file"
    )
    parser.add_argument("--gmmn", type=pathlib.Path, required=True, help="out: the generator")
    parser.add_argument("--curve", type=pathlib.Path, required=True, help="out: loss by epoch")
    parser.add_argument("--quality", type=pathlib.Path, required=True, help="out: held-out MMD by class")
    paths = parser.parse_args(argv)
    options = params.load("params.yaml", "gmmn", gmmn.Params)
    settings = params.load("params.yaml", "runtime", runtime.Params)
    split = splits.read(paths.split)
    vectors = class_embeddings.read(paths.embeddings).vectors
    sampled = rows.sample(paths.features, options.pool_per_class, options.seed)

    train, test = pools.hold_out(sampled, gmmn.HELD_OUT_SHARE, options.seed)
    real = pools.select(train, split.seen)
    context = neighbourhoods.of_rows(graphs.read(paths.features), train, split.seen)
    unseen = true_places(paths.context_masks, split, options)
    if context and unseen:
        context = dataclasses.replace(context, unseen=unseen)
    generator = gmmn.build(options, torch.from_numpy(vectors), sampled["features"].shape[1], runtime.device(settings))
    curve = list(progress.track(gmmn.fit(generator, real, context), "train_gmmn", total=options.epochs))

    if curve[-1].get("live_kernels") == 0:
        print("no kernel is alive, so nothing was learnt: change gmmn.bandwidths or gmmn.kernel", file=sys.stderr)
    checkpoints.save(paths.gmmn, {"classes": list(split.classes), **gmmn.save_dict(generator)})
    quality = [
        {"class": split.classes[row.pop("label")], **row}
        for row in gmmn.quality(generator, pools.select(test, split.seen), real)
    ]
    storage.write_csv(paths.curve, curve)
    storage.write_csv(paths.quality, quality, ["class", "features", "mmd"])


def true_places(path: pathlib.Path, split: splits.Split, options: gmmn.Params) -> neighbourhoods.Neighbourhoods | None:
    """Return where unseen classes stand in the unlabelled images if `gmmn.graph.context` asks for it, None otherwise.

    Raises:
        errors.UserError: if `path` is not the folder of masks that this needs, or is one that nothing may read.
    """
    if (options.graph.context == "true_masks") is not path.is_dir():
        raise errors.UserError(
            f"gmmn.graph.masks: context: true_masks reads a folder, context: near nothing; found {path} with context: "
            f"{options.graph.context}; set data/masks/unlabelled for the one and data/pretrained/none for the other"
        )
    if options.graph.context == "near":
        if path.read_bytes():
            raise errors.UserError(f"gmmn.graph.masks: {path} is not empty; context: near needs data/pretrained/none")
        return None
    masks = (image_files.read_mask(path / f"{item.id}.png") for item in split.unlabelled)
    found = mask_graphs.of_masks(progress.track(masks, "true masks", total=len(split.unlabelled)))
    return neighbourhoods.of_classes(found, split.unseen, options.graph.contexts_per_class, options.seed)


if __name__ == "__main__":
    main()
