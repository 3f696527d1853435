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
    import json

    from zeroshot.base import checkpoints, errors, params, progress, ranks, resuming, runtime, storage
    from zeroshot.cache import shard_work
    from zeroshot.zsi import detector_files, instances_dataset, sections
    from zeroshot.zsi.regions import evaluation_regions, region_caches

    options = params.load("zsi/params.yaml", "regions", sections.Regions)
    settings = params.load("params.yaml", "runtime", runtime.Params)
    device = runtime.start(settings, settings.threads)
    content = checkpoints.load(detector_path, detector_files.Checkpoint)
    detector, classes = detector_files.load(content)
    evaluation_regions.check(detector)
    trained = params.build(content["config"], sections.Detector, sections.SECTION, str(detector_path))
    dataset = instances_dataset.TrainingInstances(training_path, train_images_dir, classes, trained)
    if not any(dataset.n_objects()):
        raise errors.UserError("no training image has an object of a seen class, so there is nothing to learn from")
    entries = instances_dataset.read(images_path, trained.max_side)["images"]

    recipe = region_caches.Recipe(detector.to(device), trained, classes.classes, content["facts"], options, device)
    train, val = recipe.training(dataset), recipe.evaluation(entries, val_images_dir)
    inputs = [training_path, images_path, detector_path, *dataset.paths()]
    inputs += [val_images_dir / entry["file_name"] for entry in entries]
    work = resuming.folder(
        settings.scratch,
        "dump_regions",
        json.dumps(params.to_dict(options)).encode(),
        resuming.fingerprint(progress.track(inputs, "dump_regions (checksums)")),
        resuming.computed_by(device),
    )
    train_shards, val_shards = train.shards(work / "train"), val.shards(work / "val")
    # The bound of a training image is far above its size, so only evaluation images are counted, whose pooled maps are large.
    what, advice = "regions of evaluation images", "lower regions.evaluation_per_image"
    progress.say(storage.check_room(work, shard_work.missing_bytes(val_shards), what, advice))
    if not storage.on_one_disk(work, val_dir):
        storage.check_room(val_dir, sum(val.sizes), what, advice)

    def publish_all() -> None:
        train.publish(work / "train", train_dir, train_shards)
        val.publish(work / "val", val_dir, val_shards)

    with ranks.together(device):
        shard_work.finish("dump_regions", work, [*train_shards, *val_shards], publish_all)


if __name__ == "__main__":
    command_line.run(main, shared=True)
