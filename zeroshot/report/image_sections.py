"""The section of the page with the browser over evaluation images."""

import dataclasses
import pathlib
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from zeroshot.base import progress
from zeroshot.cache import maps
from zeroshot.evaluation import example_images, image_confusions
from zeroshot.images import image_files, label_ids, pictures
from zeroshot.pixel_classifiers import labelling
from zeroshot.report import blocks, image_browser, model_sections, workspace

# Largest number of images in the browser.
MAX_IMAGES = 60


def browser(
    run: workspace.Workspace,
    found: model_sections.Evaluation | None,
    data_root: pathlib.Path,
    options: example_images.Params,
) -> blocks.Section:
    """Return the browser over evaluation images.

    Args:
        run: the workspace.
        found: the evaluation images.
        data_root: folder of the data set.
        options: the section `visualise`: its seed chooses the images if there are too many.
    """
    title = "Evaluation images"
    confusions = {} if found is None else _confusions(run, found)
    if found is None or not confusions:
        return blocks.Section("images", title, ["`dvc repro evaluate` makes this section."])
    chosen = _choose(run, found, options)
    notes = [
        "The slider wipes between the truth on the left and the model on the right. Scores are of this image alone, in per cent, over the"
        " classes that it shows; hIoU needs a seen and an unseen class in the image. Pixels in pale yellow have no label and do not count."
    ]
    if len(chosen) < len(found.index.images):
        notes.append(
            f"{len(chosen)} of {len(found.index.images)} images, chosen by their masks alone: some with each unseen class and some without."
        )
    try:
        content = image_browser.data(run.split, _images(run, found, chosen, list(confusions), data_root), confusions)
    except image_files.ImageError as error:
        return blocks.Section(
            "images", title, [f"Not shown: {error}. The photographs are below `data.root`, {data_root}."]
        )
    if content["differing"]:
        notes.append(
            f"The label maps of {', '.join(f'`{model}`' for model in content['differing'])} are not those that its scores were computed"
            " from: `dvc repro evaluate` makes both fit."
        )
    content["start"] = workspace.preferred(list(confusions))
    return blocks.Section("images", title, notes, [blocks.Browser(content)])


def _confusions(
    run: workspace.Workspace, found: model_sections.Evaluation
) -> dict[str, image_confusions.ImageConfusions]:
    """Return the confusion matrices of images of each model that has metrics of this split and a classifier."""
    paths = run.models("metrics/{}_images.h5")
    read = {
        model: image_confusions.read(path)
        for model, path in paths.items()
        if model in run.metrics and model in found.classifiers
    }
    return {model: one for model, one in read.items() if set(one.images) == set(found.index.images)}


def _choose(run: workspace.Workspace, found: model_sections.Evaluation, options: example_images.Params) -> list[str]:
    if len(found.index.images) <= MAX_IMAGES:
        return found.index.images
    n_seen = MAX_IMAGES // 5
    per_class = max(1, (MAX_IMAGES - n_seen) // max(1, len(run.split.unseen)))
    more = dataclasses.replace(options, images_per_class=per_class, seen_images=n_seen)
    return example_images.choose(maps.read_masks(found.folder), run.split.unseen, more)[:MAX_IMAGES]


def _images(
    run: workspace.Workspace,
    found: model_sections.Evaluation,
    chosen: Sequence[str],
    models: Sequence[str],
    data_root: pathlib.Path,
) -> Iterator[tuple[str, np.ndarray, np.ndarray, Mapping[str, np.ndarray]]]:
    """Yield what `image_browser.data` takes."""
    files = {item.id: data_root / item.image for item in run.split.val}
    for item in progress.track(maps.read(found.folder, chosen), "report (images)", total=len(chosen)):
        size = (item.mask.shape[0], item.mask.shape[1])
        stride, margin = found.index.stride, found.index.margin
        label_maps = {
            model: labelling.predict_maps(found.classifiers[model], item.features, size, stride=stride)["generalised"]
            for model in models
        }
        predictions = {
            model: pictures.cut_margin(labels, margin).astype(label_ids.DTYPE) for model, labels in label_maps.items()
        }
        truth = pictures.cut_margin(item.mask, margin)
        yield item.image, image_files.read_image(files[item.image]), truth, predictions
