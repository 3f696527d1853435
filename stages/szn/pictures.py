"""Draw a few evaluation images with the true labels, the four variants of SZN, and the predicted and the true seen mask."""

import pathlib

from zeroshot.base import command_line


def main(
    *,
    data_root: pathlib.Path,
    split_path: pathlib.Path,
    features_dir: pathlib.Path,
    softmax_features_dir: pathlib.Path,
    fcn_s_path: pathlib.Path,
    fcn_je_path: pathlib.Path,
    szn_path: pathlib.Path,
    pictures_dir: pathlib.Path,
) -> None:
    """Draw a few evaluation images with the true labels, the four variants of SZN, and the predicted and the true seen mask.

    Args:
        data_root: folder of the data set; only images of val are read.
        split_path: the split with its three roles.
        features_dir: maps of the network that regresses class vectors.
        softmax_features_dir: maps of the network that classifies.
        fcn_s_path: the classifier of the second network.
        fcn_je_path: the classifier by class vectors.
        szn_path: the classifier with the seen mask.
        pictures_dir: out: folder with a PNG for each image.
    """
    import functools

    import numpy as np

    from zeroshot.base import params, runtime, storage
    from zeroshot.cache import index, maps
    from zeroshot.datasets import splits
    from zeroshot.evaluation import example_images
    from zeroshot.images import image_files, label_ids, pictures
    from zeroshot.pixel_classifiers import labelling, masked_classifier, pixel_classifier
    from zeroshot.szn import variants

    options = params.load("params.yaml", "visualise", example_images.Params)
    device = runtime.start(params.load("params.yaml", "runtime", runtime.Params))
    split = splits.read(split_path)
    cache, softmax_cache = index.read(features_dir, "maps"), index.read(softmax_features_dir, "maps")
    fcn_s = pixel_classifier.load(fcn_s_path, split, softmax_cache.dim)[0].to(device)
    fcn_je = pixel_classifier.load(fcn_je_path, split, cache.dim)[0].to(device)
    szn = masked_classifier.load(szn_path, split, cache.dim)[0].to(device)

    chosen = example_images.choose(maps.read_masks(features_dir), split.unseen, options)
    files = {item.id: data_root / item.image for item in split.val}
    both = zip(maps.read(features_dir, chosen), maps.read(softmax_features_dir, chosen), strict=True)
    with storage.replacing_folder(pictures_dir) as folder:
        for item, softmax_item in both:
            size, truth = item.mask.shape, item.mask
            masked = labelling.predict_masked_maps(szn, item.features, size, stride=cache.stride)
            untrained = variants.is_untrained(truth, split)
            predicted = {
                "FCN-S": labelling.predict_maps(fcn_s, softmax_item.features, size, stride=softmax_cache.stride),
                "FCN-JE": labelling.predict_maps(fcn_je, item.features, size, stride=cache.stride),
                "SZN": masked,
                "SZN-PS": {"generalised": np.where(untrained, masked["unseen_side"], masked["seen_side"])},
            }
            on_unseen_side = np.isin(masked["generalised"], szn.labels[szn.unseen_side].numpy(force=True))
            panels = {"truth": truth} | {
                name: one["generalised"].astype(label_ids.DTYPE) for name, one in predicted.items()
            }
            masks = {"seen mask": on_unseen_side, "true mask": untrained}
            cut = functools.partial(pictures.cut_margin, margin=cache.margin)
            picture = pictures.compare(
                image_files.read_image(files[item.image]),
                {name: cut(labels) for name, labels in panels.items()},
                split.classes,
                split.unseen,
                options.panel_side,
                {name: ~cut(mask) for name, mask in masks.items()},
            )
            pictures.write(folder / f"{item.image}.png", picture)


if __name__ == "__main__":
    command_line.run(main)
