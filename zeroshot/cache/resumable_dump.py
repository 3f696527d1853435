"""Dumping the features of several lists of images with one network, so that a killed run goes on at its first missing shard."""

import dataclasses
import functools
import itertools
import json
import pathlib
from collections.abc import Callable, Mapping
from typing import Any

import torch

from zeroshot.base import params, progress, resuming, runtime, storage
from zeroshot.cache import dump, graphs, index, shard_plan, shard_work, sources
from zeroshot.datasets import splits


@dataclasses.dataclass(frozen=True)
class Extraction:
    """A trained network, ready to compute features.

    Attributes:
        network: its properties.
        extract: maps images (b, 3, H, W) uint8 to features (b, d, h, w).
        lr_key: the parameter with its learning rate, for errors.
        provenance: facts about it for the index of every cache, as plain values.
    """

    network: sources.Network
    extract: Callable[[torch.Tensor], torch.Tensor]
    lr_key: str
    provenance: Mapping[str, Any]


@dataclasses.dataclass(frozen=True)
class Run:
    """What decides the bytes of a dump, besides the images and masks.

    Attributes:
        stage: the stage's name, for bars and the folder of unfinished work.
        section: the name of the section of `options`, for advice.
        options: the section.
        settings: the section `runtime`.
        device: the device of the network.
        inputs: the contents of the files that the stage read, such as the image lists and the network.
        has_scales: whether the user's section has the key `scales`, for advice.
    """

    stage: str
    section: str
    options: sources.Params
    settings: runtime.Params
    device: torch.device
    inputs: tuple[bytes, ...]
    has_scales: bool = True


def write(
    run: Run,
    extraction: Extraction,
    lists: splits.Images,
    outs: Mapping[pathlib.Path, sources.Source],
) -> None:
    """Write the cache of every source.

    Several ranks share the shards, and the bytes are the same. Each rank reads all masks to plan them.

    Args:
        run: options and inputs.
        extraction: the network.
        lists: gives the classes.
        outs: folder -> the images whose features it gets; the folder is replaced.

    Raises:
        shard_plan.DumpError: if a seen class has no cell in a labelled list, or features are of no use.
        errors.DiskError: if the features do not fit on the disk.
        errors.UserError: if rank 0 does not find a shard of another rank.
    """
    options, listed = run.options, list(outs.values())
    plans = [
        shard_plan.plan(
            source,
            options,
            functools.partial(progress.track, what=f"plan {run.section}/{source.name}"),
            run.settings.workers,
        )
        for source in listed
    ]
    for source, shards in zip(listed, plans, strict=True):
        if source.name == "train":
            shard_plan.check_classes(shards, lists, options, run.has_scales)
    work = resuming.folder(
        run.settings.scratch,
        run.stage,
        json.dumps(params.to_dict(options)).encode(),
        *run.inputs,
        json.dumps([source.name for source in listed]).encode(),
        *(resuming.fingerprint(map(source.mask_path, source.items)) for source in listed if source.masks),
        resuming.computed_by(run.device),
    )
    shards_of = {
        folder: [
            _shard(run, extraction, source, work / source.name / f"shard-{number:05d}.h5", jobs)
            for number, jobs in enumerate(plan)
        ]
        for (folder, source), plan in zip(outs.items(), plans, strict=True)
    }
    pending = list(itertools.chain.from_iterable(shards_of.values()))
    advice = _advice(
        run, {outs[folder].name: sum(shard.n_bytes for shard in shards) for folder, shards in shards_of.items()}
    )
    progress.say(storage.check_room(work, shard_work.missing_bytes(pending), "features", advice))
    for folder, shards in shards_of.items():
        if not storage.on_one_disk(work, folder):
            n_bytes = sum(shard.n_bytes for shard in shards)
            storage.check_room(folder, n_bytes, f"{run.section}/{outs[folder].name}", advice)

    def publish_all() -> None:
        for folder, source in outs.items():
            paths = [shard.path for shard in shards_of[folder]]
            _publish(run, extraction, lists, source, paths, work / source.name, folder)

    shard_work.finish(run.stage, work, pending, publish_all)


def _advice(run: Run, bytes_of: Mapping[str, int]) -> str:
    """Return how the user can make the features smaller, above all those of the largest list; `bytes_of` is name -> size."""
    # The section of SZN has neither views nor sizes.
    section = run.section if run.has_scales else f"szn/params.yaml:{run.section}"
    largest = max(bytes_of, key=lambda name: bytes_of[name])
    advice = {
        "train": [f"lower {section}.pixels_per_class" + (f" or {section}.scales" if run.has_scales else "")],
        "unlabelled": [f"lower {section}.unlabelled_pixels or {section}.unlabelled_views"],
        "val": [f"set {section}.val_short_side to fewer pixels"] if run.has_scales else [],
    }[largest]
    if run.options.storage != "int8":
        advice.append(f"set {section}.storage: int8")
    return ", or ".join(advice or ["list fewer images for evaluation"])


def _shard(
    run: Run, extraction: Extraction, source: sources.Source, path: pathlib.Path, jobs: list[sources.Job]
) -> shard_work.Shard:
    def write() -> None:
        workers = run.settings.workers
        dump.write_shard(path, source, jobs, extraction.extract, run.options, workers, extraction.lr_key)

    return shard_work.Shard(path, sum(job.bytes for job in jobs), write)


def _publish(
    run: Run,
    extraction: Extraction,
    lists: splits.Images,
    source: sources.Source,
    shards: list[pathlib.Path],
    work: pathlib.Path,
    folder: pathlib.Path,
) -> None:
    """Write the graphs and the index of a cache, and replace `folder` by it."""
    graphs_path = work / graphs.NAME if source.name == "train" else None
    if graphs_path and not graphs_path.exists():
        track = functools.partial(progress.track, what="component graphs")
        dump.write_graphs(graphs_path, source, track, run.settings.workers)
    # So a mask for evaluation, which may show further classes, changes nothing that is trained on.
    classes = list(lists.classes if source.kind == "maps" else lists.classes[: 1 + max(lists.seen)])
    cache = index.Index(
        source.kind,
        extraction.network.feature_dim,
        extraction.network.stride,
        classes,
        [item.id for item in source.items],
        [index.entry(path, source.kind, len(classes)) for path in shards],
        {**extraction.provenance, "features": source.recipe(run.options)},
        graphs.describe(graphs_path) if graphs_path else None,
        index.presence(shards, len(source.items)) if source.name == "train" else None,
        extraction.network.margin,
    )
    shard_work.publish(work, folder, cache)
