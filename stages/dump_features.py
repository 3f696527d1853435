"""Run the trained network once over each requested list of images and write its pixel features to HDF5 shards."""

import pathlib

from zeroshot.base import command_line


def main(
    *,
    data_root: pathlib.Path,
    images_path: pathlib.Path,
    backbone_path: pathlib.Path,
    train_masks_dir: pathlib.Path | None = None,
    val_masks_dir: pathlib.Path | None = None,
    train_dir: pathlib.Path | None = None,
    unlabelled_dir: pathlib.Path | None = None,
    val_dir: pathlib.Path | None = None,
) -> None:
    """Run the trained network once over each requested list of images and write its pixel features to HDF5 shards.

    Args:
        data_root: folder of the data set; the checksums of its images are in images_path.
        images_path: the image lists.
        backbone_path: the trained network.
        train_masks_dir: masks of the training images; required with train_dir.
        val_masks_dir: masks of the evaluation images; required with val_dir.
        train_dir: out: a balanced sample of labelled pixels.
        unlabelled_dir: out: a sample of pixels without labels.
        val_dir: out: whole feature maps with their masks.
    """
    import functools
    import json
    import shutil
    import sys

    import torch

    from zeroshot.base import checkpoints, endings, errors, params, progress, resuming, runtime, storage
    from zeroshot.cache import dump, graphs, index, shard_plan
    from zeroshot.datasets import splits
    from zeroshot.networks import backbone

    for name, out, masks in (("train", train_dir, train_masks_dir), ("val", val_dir, val_masks_dir)):
        if out and not masks:
            raise errors.UserError(f"dump_features: --{name}-dir needs --{name}-masks-dir")
    options = params.load("params.yaml", "features", shard_plan.Params)
    settings = params.load("params.yaml", "runtime", runtime.Params)
    device = runtime.start(settings, settings.threads)
    lists = splits.read_images(images_path)
    checkpoint = checkpoints.load(backbone_path, backbone.Checkpoint)
    network, lr_key = backbone.load(checkpoint), checkpoint.get("lr_key", backbone.LR_KEY)
    extract = backbone.extractor(network, device, options.precision)

    outs = {"train": train_dir, "unlabelled": unlabelled_dir, "val": val_dir}
    outs = {name: out for name, out in outs.items() if out}
    masks_dirs = {"train": train_masks_dir, "unlabelled": None, "val": val_masks_dir}
    sources = [shard_plan.source(name, lists, data_root, masks_dirs[name], options, network) for name in outs]
    track = [functools.partial(progress.track, what=f"plan features/{source.name}") for source in sources]
    plans = [
        shard_plan.plan(source, options, wrap, settings.workers) for source, wrap in zip(sources, track, strict=True)
    ]
    for source, shards in zip(sources, plans, strict=True):
        if source.name == "train":
            shard_plan.check_classes(shards, lists, options)
    work = resuming.folder(
        settings.scratch,
        "dump_features",
        json.dumps(params.to_dict(options)).encode(),
        images_path.read_bytes(),
        backbone_path.read_bytes(),
        json.dumps(list(outs)).encode(),
        *(resuming.fingerprint(map(source.mask_path, source.items)) for source in sources if source.masks),
        f"{torch.__version__} {device} {torch.get_num_threads()}".encode(),
    )
    pending = [
        (work / source.name / f"shard-{number:05d}.h5", source, jobs)
        for source, shards in zip(sources, plans, strict=True)
        for number, jobs in enumerate(shards)
    ]
    missing = [entry for entry in pending if not entry[0].exists()]
    expected = sum(job.bytes for _, _, jobs in missing for job in jobs)
    advice = "lower features.pixels_per_class or features.scales"
    print(storage.check_room(work, expected, "features", advice), file=sys.stderr, flush=True)
    for source, shards in zip(sources, plans, strict=True):
        if not storage.on_one_disk(work, outs[source.name]):
            n_bytes = sum(job.bytes for jobs in shards for job in jobs)
            storage.check_room(outs[source.name], n_bytes, f"features/{source.name}", advice)
    with endings.keeping(
        lambda: (
            f"{sum(path.exists() for path, _, _ in pending)} of {len(pending)} shards are kept in {work}; run again to go on"
        )
    ):
        for path, source, jobs in progress.track(
            missing, "dump_features (shards)", total=len(pending), initial=len(pending) - len(missing)
        ):
            dump.write_shard(path, source, jobs, extract, options, settings.workers, lr_key)

        provenance = {
            "backbone_sha256": storage.sha256(backbone_path),
            "pretraining": checkpoint["config"]["pretraining"],
        }
        for source in sources:
            shards = [path for path, owner, _ in pending if owner is source]
            graphs_path = work / source.name / graphs.NAME if source.name == "train" else None
            if graphs_path and not graphs_path.exists():
                track_graphs = functools.partial(progress.track, what="component graphs")
                dump.write_graphs(graphs_path, source, track_graphs, settings.workers)
            cache = index.Index(
                source.kind,
                network.feature_dim,
                network.stride,
                list(lists.classes),
                [item.id for item in source.items],
                [index.entry(path, source.kind, len(lists.classes)) for path in shards],
                {**provenance, "features": source.recipe(options)},
                graphs.describe(graphs_path) if graphs_path else None,
                index.presence(shards, len(source.items)) if source.name == "train" else None,
                network.margin,
            )
            dump.publish(work / source.name, outs[source.name], cache)
    shutil.rmtree(work)


if __name__ == "__main__":
    command_line.run(main)
