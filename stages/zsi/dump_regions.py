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

    import numpy as np
    import torch

    from zeroshot.base import checkpoints, params, progress, runtime
    from zeroshot.cache import rows
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
    describe = functools.partial(
        region_shards.Description,
        dim=detector.box_head.regressor.in_features,
        classes=classes.classes,
        provenance={**content["facts"], "regions": params.to_dict(options)},
        shard_bytes=options.shard_mib * 2**20,
    )

    trained = params.build(content["config"], sections.Detector, sections.SECTION, str(detector_path))
    dataset = instances_dataset.TrainingInstances(training_path, train_images_dir, classes, trained)

    def training(number: int) -> rows.Rows:
        image, target = dataset.example(number)
        return training_regions.of_image(detector, image.to(device), target, number, options)

    numbers = progress.track(range(len(dataset)), "dump_regions (train)")
    described = describe(images=[str(entry["id"]) for entry in dataset.images])
    region_shards.write_rows(train_dir, described, map(training, numbers))

    entries = instances_dataset.read(images_path, trained.max_side)["images"]

    def evaluation(number: int) -> evaluation_regions.EvaluationRegions:
        pixels = image_files.read_image(val_images_dir / entries[number]["file_name"])
        image = torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1))).to(device)
        return evaluation_regions.of_image(detector, image, options.evaluation_per_image)

    numbers = progress.track(range(len(entries)), "dump_regions (val)")
    described = describe(images=[str(entry["id"]) for entry in entries])
    region_shards.write_evaluation(val_dir, described, map(evaluation, numbers))


if __name__ == "__main__":
    command_line.run(main)
