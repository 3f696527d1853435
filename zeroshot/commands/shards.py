"""Describe feature caches."""

import pathlib
import sys
from typing import Annotated

import tyro


def main(
    folders: Annotated[tyro.conf.Positional[tuple[pathlib.Path, ...]], tyro.conf.arg(metavar="DIR")],
    *,
    class_name: Annotated[str, tyro.conf.arg(name="class")] = "",
    image: str = "",
    plot: pathlib.Path | None = None,
    split: pathlib.Path = pathlib.Path("data/split.json"),
) -> None:
    """Describe feature caches: shards, rows, classes, moments, provenance. All checksums are verified.

    With --class or --image, describe that part of one cache: rows, moments, and the images of a class or the positions in an image.

    Args:
        folders: folders of caches, such as features/train.
        class_name: describe this class only.
        image: describe the image of this id only.
        plot: draw the class or the image as .pdf, .svg or .png. A class: the norms and the spectrum of its features. An image of
            sampled rows: their places on the photograph. An image of whole maps: the principal components of its features.
        split: tells where the photograph of an image is, below data.root of params.yaml.
    """
    from zeroshot.base import errors
    from zeroshot.cache import describe, index

    if not folders:
        raise errors.UserError("shards: name a cache, such as features/train")
    for folder in folders:
        inside = sorted(path.parent.as_posix() for path in folder.glob(f"*/{index.NAME}"))
        if inside and not (folder / index.NAME).exists():
            raise errors.UserError(f"{folder}: is no cache itself; name one of those in it: {' '.join(inside)}")
    if class_name or image:
        folder, *more = folders
        if more:
            raise errors.UserError(f"shards: --class and --image are for one cache, found {len(folders)}")
        _describe_part(folder, class_name, image, plot, split)
        return
    if plot:
        raise errors.UserError("shards: --plot needs --class or --image")

    status = 0
    for folder in folders:
        try:
            print(describe.describe(folder))
        except index.ShardError as error:
            print(error, file=sys.stderr)
            status = 1
    if status:
        raise SystemExit(status)


def _describe_part(
    folder: pathlib.Path, class_name: str, image: str, plot: pathlib.Path | None, split_path: pathlib.Path
) -> None:
    from zeroshot.base import errors, params
    from zeroshot.cache import maps
    from zeroshot.datasets import splits
    from zeroshot.figures import examples, near_names, output, shard_contents, shard_plots
    from zeroshot.images import image_files

    if plot:
        output.check(plot)
    contents = shard_contents.Contents(shard_contents.select(folder, class_name, image))
    print(shard_contents.report(contents))
    if not plot:
        return
    if not contents.counts:
        raise errors.UserError(f"{contents.selection.title}: has no feature, so there is nothing to draw")
    if not image:
        figure = shard_plots.class_figure(contents)
    else:
        split = splits.read(split_path)
        files = {item.id: item.image for item in (*split.train, *split.unlabelled, *split.val)}
        near_names.check(str(split_path), "image", [image], files)
        photograph = image_files.read_image(pathlib.Path(params.data_path("params.yaml", "data.root"), files[image]))
        if contents.selection.index.kind == "rows":
            figure = shard_plots.rows_figure(contents, photograph)
        else:
            examples.check(folder, contents.selection.index, split)
            (item,) = maps.read(folder, {image})
            figure = shard_plots.map_figure(contents, item, photograph, split)
    output.write(plot, figure, dpi=200)
