"""Run the trained network once over every list of images asked for and keep its pixel features in HDF5 shards."""

import argparse
import functools
import json
import pathlib
import sys

import torch

from zeroshot.base import checkpoints, errors, params, progress, runtime, scratch, storage
from zeroshot.cache import dump, graphs, index, shard_plan
from zeroshot.datasets import splits
from zeroshot.images import views
from zeroshot.networks import backbone


@errors.reported
def main(argv: list[str] | None = None) -> None:
    """Run the stage."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=pathlib.Path, required=True, help="data set root")
    parser.add_argument("--split", type=pathlib.Path, required=True)
    parser.add_argument("--backbone", type=pathlib.Path, required=True)
    parser.add_argument("--train-masks", type=pathlib.Path, help="needed by --train")
    parser.add_argument("--val-masks", type=pathlib.Path, help="needed by --val")
    parser.add_argument("--train", type=pathlib.Path, help="out: balanced sample with labels")
    parser.add_argument("--unlabelled", type=pathlib.Path, help="out: sample without labels")
    parser.add_argument("--val", type=pathlib.Path, help="out: full maps with masks")
    paths = parser.parse_args(argv)
    for name in ("train", "val"):
        if getattr(paths, name) and not getattr(paths, f"{name}_masks"):
            parser.error(f"--{name} needs --{name}-masks")
    options = params.load("params.yaml", "features", shard_plan.Params)
    settings = params.load("params.yaml", "runtime", runtime.Params)
    split = splits.read(paths.split)
    device = runtime.device(settings)
    network = backbone.load(checkpoints.load(paths.backbone))
    extract = dump.extractor(network, device, options.precision)

    sources = [
        shard_plan.Source(
            "train", split.train, paths.data, paths.train_masks, views.passes(options.scales, options.flip)
        ),
        shard_plan.Source(
            "unlabelled",
            split.unlabelled,
            paths.data,
            None,
            views.around_whole(options.unlabelled_views.scales, options.unlabelled_views.flip),
        ),
        shard_plan.Source(
            "val", split.val, paths.data, paths.val_masks, [views.View(short_side=options.val_short_side)]
        ),
    ]
    sources = [source for source in sources if getattr(paths, source.name)]
    plans = [
        shard_plan.plan(
            source, options, functools.partial(progress.track, what=f"plan features/{source.name}"), settings.workers
        )
        for source in sources
    ]
    work = work_folder(paths, options, sources, settings, device)
    pending = [
        (work / source.name / f"shard-{number:05d}.h5", source, jobs)
        for source, shards in zip(sources, plans, strict=True)
        for number, jobs in enumerate(shards)
    ]
    missing = [entry for entry in pending if not entry[0].exists()]
    expected = sum(job.bytes for _, _, jobs in missing for job in jobs)
    print(shard_plan.check_room(work, expected), file=sys.stderr, flush=True)
    for path, source, jobs in progress.track(
        missing, "dump_features (shards)", total=len(pending), initial=len(pending) - len(missing)
    ):
        dump.write_shard(path, source, jobs, extract, options, settings.workers)
    drawn = work / "train" / graphs.NAME
    for source in sources:
        if source.name == "train" and not drawn.exists():
            track = functools.partial(progress.track, what="component graphs")
            dump.write_graphs(drawn, source, track, settings.workers)

    backbone_sha256 = storage.sha256(paths.backbone)
    for source in sources:
        files = [path for path, owner, _ in pending if owner is source]
        shards = [index.entry(path, source.kind, len(split.classes)) for path in files]
        names = [item.id for item in source.items]
        found = graphs.describe(drawn) if source.name == "train" else None
        provenance = {"backbone_sha256": backbone_sha256, "features": source.recipe(options)}
        cache = index.Index(
            source.kind, network.classifier.in_channels, list(split.classes), names, shards, provenance, found
        )
        dump.publish(work / source.name, getattr(paths, source.name), cache)


def work_folder(
    paths: argparse.Namespace,
    options: shard_plan.Params,
    sources: list[shard_plan.Source],
    settings: runtime.Params,
    device: torch.device,
) -> pathlib.Path:
    """Return the scratch folder of exactly this dump."""
    labelled = [source for source in sources if source.masks]
    return scratch.folder(
        settings.scratch,
        "dump_features",
        json.dumps(params.to_dict(options)).encode(),
        paths.split.read_bytes(),
        paths.backbone.read_bytes(),
        json.dumps([source.name for source in sources]).encode(),
        *(scratch.fingerprint(source.masks, [f"{item.id}.png" for item in source.items]) for source in labelled),
        *(scratch.fingerprint(paths.data, [item.image for item in source.items]) for source in sources),
        f"{torch.__version__} {device}".encode(),
    )


if __name__ == "__main__":
    main()
