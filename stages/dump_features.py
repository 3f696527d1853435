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
    from zeroshot.base import checkpoints, errors, params, ranks, runtime, storage
    from zeroshot.cache import resumable_dump, sources
    from zeroshot.datasets import splits
    from zeroshot.networks import backbone

    for name, out, masks in (("train", train_dir, train_masks_dir), ("val", val_dir, val_masks_dir)):
        if out and not masks:
            raise errors.UserError(f"dump_features: --{name}-dir needs --{name}-masks-dir")
    options = params.load("params.yaml", "features", sources.Params)
    settings = params.load("params.yaml", "runtime", runtime.Params)
    device = runtime.start(settings, settings.threads)
    lists = splits.read_images(images_path)
    checkpoint = checkpoints.load(backbone_path, backbone.Checkpoint)
    network, lr_key = backbone.load(checkpoint), checkpoint.get("lr_key", backbone.LR_KEY)

    outs = {"train": train_dir, "unlabelled": unlabelled_dir, "val": val_dir}
    masks_dirs = {"train": train_masks_dir, "unlabelled": None, "val": val_masks_dir}
    listed = {
        out: sources.source(name, lists, data_root, masks_dirs[name], options, network)
        for name, out in outs.items()
        if out
    }
    inputs = (images_path.read_bytes(), backbone_path.read_bytes())
    provenance = {
        "backbone_sha256": storage.sha256(backbone_path),
        "pretraining": checkpoint["config"]["pretraining"],
    }
    extract = backbone.extractor(network, device, options.precision)
    run = resumable_dump.Run("dump_features", "features", options, settings, device, inputs)
    extraction = resumable_dump.Extraction(network, extract, lr_key, provenance)
    with ranks.together(device):
        resumable_dump.write(run, extraction, lists, listed)


if __name__ == "__main__":
    command_line.run(main, shared=True)
