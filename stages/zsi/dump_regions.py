"""Run the detector over all images once and write its regions to the cache, for training and for evaluation."""

import pathlib

from zeroshot.base import command_line


def main(
    *,
    training_path: pathlib.Path,
    train_images_dir: pathlib.Path,
    images_path: pathlib.Path,
    val_images_dir: pathlib.Path,
    detector_path: pathlib.Path,
    train_dir: pathlib.Path,
    val_dir: pathlib.Path,
) -> None:
    """Run the detector over all images once and write its regions to the cache, for training and for evaluation.

    Args:
        training_path: training images with the annotations of seen classes.
        train_images_dir: their folder.
        images_path: the evaluation images, without annotations.
        val_images_dir: their folder.
        detector_path: the detector.
        train_dir: out: sampled regions of training images with their classes.
        val_dir: out: all regions of evaluation images.
    """
    import functools
    import json

    import numpy as np
    import torch

    from zeroshot.base import checkpoints, params, progress, ranks, resuming, runtime, storage
    from zeroshot.cache import rows, shard_work
    from zeroshot.images import image_files
    from zeroshot.zsi import detector_files, instances_dataset, sections
    from zeroshot.zsi.regions import evaluation_regions, region_shards, training_regions

    options = params.load("zsi/params.yaml", "regions", sections.Regions)
    settings = params.load("params.yaml", "runtime", runtime.Params)
    device = runtime.start(settings, settings.threads)
    content = checkpoints.load(detector_path, detector_files.Checkpoint)
    detector, classes = detector_files.load(content)
    evaluation_regions.check(detector)
    detector.to(device)
    trained = params.build(content["config"], sections.Detector, sections.SECTION, str(detector_path))
    dataset = instances_dataset.TrainingInstances(training_path, train_images_dir, classes, trained)
    entries = instances_dataset.read(images_path, trained.max_side)["images"]

    def training(number: int) -> rows.Rows:
        image, target = dataset.example(number)
        return training_regions.of_image(detector, image.to(device), target, number, options)

    def evaluation(number: int) -> evaluation_regions.EvaluationRegions:
        pixels = image_files.read_image(val_images_dir / entries[number]["file_name"])
        image = torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1))).to(device)
        return evaluation_regions.of_image(detector, image, options.evaluation_per_image)

    dim = detector.box_head.regressor.in_features
    cache = functools.partial(
        region_shards.Cache,
        dim=dim,
        classes=classes.classes,
        provenance={**content["facts"], "regions": params.to_dict(options)},
        shard_bytes=options.shard_mib * storage.MIB,
    )
    proposals = trained.rpn.proposals_test
    per_image = min(proposals, options.evaluation_per_image)
    train = cache(
        "rows",
        images=[str(entry["id"]) for entry in dataset.images],
        sizes=[(proposals + n_objects) * region_shards.row_bytes(dim) for n_objects in dataset.n_objects()],
        write=functools.partial(region_shards.write_rows, training),
    )
    val = cache(
        "regions",
        images=[str(entry["id"]) for entry in entries],
        sizes=[per_image * evaluation_regions.region_bytes(dim, trained.map_dim)] * len(entries),
        write=functools.partial(region_shards.write_evaluation, evaluation),
    )

    images = [*dataset.paths(), *(val_images_dir / entry["file_name"] for entry in entries)]
    work = resuming.folder(
        settings.scratch,
        "dump_regions",
        json.dumps(params.to_dict(options)).encode(),
        resuming.fingerprint([training_path, images_path, detector_path, *images]),
        f"{torch.__version__} {device} {torch.get_num_threads()}".encode(),
    )
    train_shards, val_shards = train.shards(work / "train"), val.shards(work / "val")
    # Nearly all bytes are those of evaluation images, and their bound is near their size.
    expected = shard_work.missing_bytes(val_shards)
    what, advice = "regions of evaluation images", "lower regions.evaluation_per_image"
    progress.say(storage.check_room(work, expected, what, advice))
    if not storage.on_one_disk(work, val_dir):
        storage.check_room(val_dir, sum(val.sizes), what, advice)

    def publish_all() -> None:
        train.publish(work / "train", train_dir, train_shards)
        val.publish(work / "val", val_dir, val_shards)

    with ranks.together(device):
        shard_work.finish("dump_regions", work, [*train_shards, *val_shards], publish_all)


if __name__ == "__main__":
    command_line.run(main, shared=True)
