"""Draw evaluation images with the truth and the predictions of models as a figure for a paper."""

import pathlib
import typing
from collections.abc import Sequence
from typing import Annotated

import tyro

if typing.TYPE_CHECKING:
    from zeroshot.figures import examples


def main(
    *,
    out: tuple[pathlib.Path, ...],
    ids: tuple[str, ...] = (),
    n: int = 4,
    models: tuple[str, ...] = (),
    width: float = 7.0,
    names: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False,
    dpi: int = 300,
    split: pathlib.Path = pathlib.Path("data/split.json"),
    features: pathlib.Path = pathlib.Path("features/val"),
    classifiers: pathlib.Path = pathlib.Path("models/classifiers"),
) -> None:
    """Draw evaluation images with the truth and the predictions of models as a figure for a paper.

    A row is an image; the columns are the image, the truth and the models. Below a prediction are the mean IoU, in per cent, of the
    seen and of the unseen classes in the image. Unseen classes are hatched, and have a star in the legend. A class has the same
    colour in every figure of a data set, and colour-blind readers can tell the colours apart (docs/figures.md).

    Args:
        out: one or more files to write; the suffix .pdf, .svg or .png is the format.
        ids: ids of evaluation images, in the order of the rows. The default is a choice by the true masks, as `visualise` makes it.
        n: number of images to choose, if no ids are given.
        models: the columns: names of files in the folder of classifiers, such as zs5net, or methods of
            presets/comparison/methods.yaml without parameters of their own, such as 'ZS3Net without the seen bias'. The default is
            all files that a method of the main pipeline has.
        width: of the figure in inches; the text of a paper is about 7 wide, a column 3.3.
        names: write the names of classes on large segments.
        dpi: pixels per inch of a PNG.
        split: the split.
        features: cache of whole feature maps of the evaluation images.
        classifiers: folder of the models' last layers.
    """
    from zeroshot.base import errors, params, runtime
    from zeroshot.cache import index
    from zeroshot.datasets import splits
    from zeroshot.evaluation import example_images
    from zeroshot.figures import examples, output, qualitative

    if not 1 <= width <= 40:
        raise errors.UserError(f"--width: needs 1 to 40 inches, found {width:g}")
    if not 30 <= dpi <= 2400:
        raise errors.UserError(f"--dpi: needs 30 to 2400 pixels per inch, found {dpi}")
    for path in out:
        output.check(path)
    columns = _columns(models, classifiers)
    data_root = pathlib.Path(params.data_path("params.yaml", "data.root"))
    device = runtime.start(params.load("params.yaml", "runtime", runtime.Params))
    present = splits.read(split)
    if not ids:
        options = params.load("params.yaml", "visualise", example_images.Params)
        described = index.read(features, "maps")
        examples.check(features, described, present)
        ids = tuple(examples.choose(features, present, n, options, described.images))
    rows = examples.read(ids, columns, features, present, data_root, device)
    for path in out:
        look = qualitative.Options(width, names, vector=path.suffix.lower() != ".png")
        output.write(path, qualitative.draw(rows, [column.title for column in columns], present, look), dpi)
    print(f"{', '.join(map(str, out))}: {', '.join(row.id for row in rows)}")


def _columns(names: Sequence[str], folder: pathlib.Path) -> "list[examples.Model]":
    """Return the models to show, by the names of files in `folder` or of methods; if there are no names, all with a method."""
    from zeroshot.base import errors
    from zeroshot.experiments.comparison import catalogue
    from zeroshot.figures import examples, near_names

    files = {path.stem: path for path in sorted(folder.glob("*.pt"))}
    if not files:
        raise errors.UserError(f"{folder}: has no classifier; make them with `dvc repro`")
    methods = {
        name: method
        for name, method in catalogue.methods(catalogue.FOLDER).items()
        if not method.set and method.model in files
    }
    proper = catalogue.proper_names(methods)
    # Methods of another dvc.yaml have networks and features of their own.
    names = names or tuple(name for name in proper.values() if methods[name].target is None) or tuple(files)
    near_names.check(str(folder), "model", names, {**files, **methods})
    columns = []
    for name in names:
        title = name if name in methods else proper.get(name, name)
        protocol = methods[title].figures if title in methods else "generalised"
        columns.append(examples.Model(title, files[methods[title].model if title in methods else name], protocol))
    return columns
