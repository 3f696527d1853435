"""Run a trained network of SZN once over the images and write the features below its head to HDF5 shards."""

import pathlib

from zeroshot.base import command_line


def main(
    *,
    data_root: pathlib.Path,
    images_path: pathlib.Path,
    network_path: pathlib.Path,
    train_masks_dir: pathlib.Path | None = None,
    val_masks_dir: pathlib.Path,
    train_dir: pathlib.Path | None = None,
    val_dir: pathlib.Path,
) -> None:
    """Run a trained network of SZN once over the images and write the features below its head to HDF5 shards.

    Args:
        data_root: folder of the data set; the checksums of its images are in images_path.
        images_path: the image lists.
        network_path: the trained network.
        train_masks_dir: masks of the training images; required with train_dir.
        val_masks_dir: masks of the evaluation images.
        train_dir: out: a balanced sample of the pixels of classes with masks.
        val_dir: out: whole feature maps with their masks.
    """
    from zeroshot.base import checkpoints, errors, params, ranks, runtime, storage
    from zeroshot.cache import resumable_dump
    from zeroshot.datasets import splits
    from zeroshot.networks import backbone
    from zeroshot.szn import features
    from zeroshot.szn import network as szn_network

    if train_dir and not train_masks_dir:
        raise errors.UserError("dump: --train-dir needs --train-masks-dir")
    options = params.load("szn/params.yaml", "features", features.Params)
    settings = params.load("params.yaml", "runtime", runtime.Params)
    device = runtime.start(settings, settings.threads)
    lists = splits.read_images(images_path)
    checkpoint = checkpoints.load(network_path, szn_network.Checkpoint)
    network = szn_network.load(checkpoint)

    listed = {val_dir: features.source("val", lists, data_root, val_masks_dir, options, network)}
    if train_dir and train_masks_dir:
        listed = {train_dir: features.source("train", lists, data_root, train_masks_dir, options, network)} | listed
    provenance = {
        "backbone_sha256": storage.sha256(network_path),
        "pretraining": checkpoint["config"]["pretraining"],
    }
    extraction = resumable_dump.Extraction(
        network, backbone.extractor(network, device, options.precision), szn_network.LR_KEY, provenance
    )
    inputs = (images_path.read_bytes(), network_path.read_bytes(), str(options.ignored_pixels).encode())
    run = resumable_dump.Run(
        f"dump_{checkpoint['target']}", features.SECTION, options.plan(), settings, device, inputs, has_scales=False
    )
    with ranks.together(device):
        resumable_dump.write(run, extraction, lists, listed)


if __name__ == "__main__":
    command_line.run(main, shared=True)
