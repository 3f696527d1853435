"""Draw a few evaluation images with their truth and the answer of each model side by side."""

import argparse
import pathlib
import shutil

import numpy as np
import torch

from zeroshot.base import errors, params, runtime
from zeroshot.cache import maps
from zeroshot.datasets import splits
from zeroshot.evaluation import example_images, protocols
from zeroshot.images import image_files, pictures
from zeroshot.zs3net import pixel_classifier


@errors.reported
def main(argv: list[str] | None = None) -> None:
    """Run the stage."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=pathlib.Path, required=True, help="data set root; pictures of val are read")
    parser.add_argument("--split", type=pathlib.Path, required=True)
    parser.add_argument("--features", type=pathlib.Path, required=True, help="cache of full maps with masks")
    parser.add_argument("--model", type=pathlib.Path, required=True, action="append", help="one or more, left to right")
    parser.add_argument("--pictures", type=pathlib.Path, required=True, help="out: folder of one PNG an image")
    paths = parser.parse_args(argv)
    options = params.load("params.yaml", "visualise", example_images.Params)
    settings = params.load("params.yaml", "runtime", runtime.Params)
    split = splits.read(paths.split)
    device = runtime.device(settings)
    models = {path.stem: pixel_classifier.load(path)[0].to(device) for path in paths.model}

    chosen = example_images.choose(maps.read_masks(paths.features), split.unseen, options)
    files = {item.id: paths.data / item.image for item in split.val}
    if paths.pictures.exists():
        shutil.rmtree(paths.pictures)
    paths.pictures.mkdir(parents=True)
    for item in maps.read(paths.features, chosen):
        features = torch.from_numpy(item.features).to(device).float()
        label_maps = {"truth": item.mask}
        for name, model in models.items():
            predicted = protocols.predict(model, features, item.mask.shape)["generalised"]
            label_maps[name] = predicted.cpu().numpy().astype(np.uint8)
        image = image_files.read_image(files[item.image])
        picture = pictures.compare(image, label_maps, split.classes, split.unseen, options.panel_side)
        pictures.write(paths.pictures / f"{item.image}.png", picture)


if __name__ == "__main__":
    main()
