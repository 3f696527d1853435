"""Draw a few evaluation images with the true labels and the prediction of each model side by side."""

import pathlib

from zeroshot.base import command_line


def main(
    *,
    data_root: pathlib.Path,
    split_path: pathlib.Path,
    features_dir: pathlib.Path,
    model_paths: tuple[pathlib.Path, ...],
    pictures_dir: pathlib.Path,
) -> None:
    """Draw a few evaluation images with the true labels and the prediction of each model side by side.

    Args:
        data_root: folder of the data set; only images of val are read.
        split_path: the split.
        features_dir: cache of whole feature maps with their masks.
        model_paths: the models, from left to right.
        pictures_dir: out: folder with a PNG for each image.
    """
    from zeroshot.base import params, runtime, storage
    from zeroshot.cache import index, maps
    from zeroshot.datasets import splits
    from zeroshot.evaluation import example_images
    from zeroshot.images import image_files, label_ids, pictures
    from zeroshot.pixel_classifiers import labelling, pixel_classifier

    options = params.load("params.yaml", "visualise", example_images.Params)
    device = runtime.start(params.load("params.yaml", "runtime", runtime.Params))
    split = splits.read(split_path)
    described = index.read(features_dir, "maps")
    models = {path.stem: pixel_classifier.load(path, split, described.dim)[0].to(device) for path in model_paths}

    chosen = example_images.choose(maps.read_masks(features_dir), split.unseen, options)
    files = {item.id: data_root / item.image for item in split.val}
    with storage.replacing_folder(pictures_dir) as folder:
        for item in maps.read(features_dir, chosen):
            label_maps = {"truth": item.mask}
            for name, model in models.items():
                predicted = labelling.predict_maps(model, item.features, item.mask.shape, stride=described.stride)
                label_maps[name] = predicted["generalised"].astype(label_ids.DTYPE)
            image = image_files.read_image(files[item.image])
            shown = {name: pictures.cut_margin(labels, described.margin) for name, labels in label_maps.items()}
            picture = pictures.compare(image, shown, split.classes, split.unseen, options.panel_side)
            pictures.write(folder / f"{item.image}.png", picture)


if __name__ == "__main__":
    command_line.run(main)
