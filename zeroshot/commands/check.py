"""Check every section of a parameter file, or a folder of images and masks, before any stage runs."""

import pathlib
from typing import Annotated

import tyro


def main(
    path: Annotated[tyro.conf.Positional[pathlib.Path], tyro.conf.arg(metavar="FILE|DIR")] = pathlib.Path(
        "params.yaml"
    ),
    *,
    unseen: str = "",
    void: tuple[int, ...] = (),
    no_background: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False,
    side: int = 320,
    val_share: float = 0.2,
    seed: int = 0,
    weights: pathlib.Path | None = None,
    out: pathlib.Path | None = None,
    params: pathlib.Path = pathlib.Path("params.yaml"),
) -> None:
    """Check every section of a parameter file, or a folder of images and masks, before any stage runs.

    With params.yaml, szn/params.yaml and zsi/params.yaml beside it are checked too; their faults do not fail this command.

    A folder is read as people have it: `images` and `masks`, or both in one folder; index, palette or RGB masks, or JSON of COCO or
    labelme; a class list; lists or none (docs/own_data.md). All faults of files are named together. If there is none, a data set in
    VOC's layout and a parameter file are written, and names without a word vector are named. All options are for a folder.

    Args:
        path: the parameter file, or the folder.
        unseen: names of classes, parted by commas, that are treated as never annotated. Classes that no mask shows are unseen anyway.
        void: values in masks that are ignored; in 8-bit masks 255 is, if no class has it.
        no_background: the class called background is an ordinary class.
        side: shrink larger images and their masks to this longest side in pixels; 0: never. 320 suits a CPU.
        val_share: share of the images with masks that go to validation, if the folder has no val.txt.
        seed: of the choice of validation images.
        weights: a file of weights of MobileNetV2, where torchvision cannot download them.
        out: where the data set is written; data/NAME if it is not given.
        params: the parameter file to write.
    """
    from zeroshot.base import errors
    from zeroshot.experiments import schema

    if not path.is_dir():
        if not path.exists():
            raise errors.UserError(f"{path}: is no parameter file and no folder")
        _check_parameters(path)
        return
    from zeroshot.base import params as sections
    from zeroshot.base import storage, text_files
    from zeroshot.experiments import presets
    from zeroshot.own_data import parameters, prepare, report
    from zeroshot.words import class_embeddings, embedding_sources

    out = out or pathlib.Path("data") / path.resolve().name
    options = prepare.Options(
        tuple(text_files.normalise(name.strip()) for name in unseen.split(",") if name.strip()),
        void,
        no_background,
        side,
        val_share,
        seed,
    )
    if weights is not None and not weights.is_file():
        raise errors.UserError(f"--weights: {weights} does not exist")
    summary = prepare.make(path, out, options)
    print(report.render(summary))
    changes = parameters.of(out, summary, weights)
    before = sections.read(params) if params.is_file() else {}
    changes["embeddings"]["aliases"] = parameters.aliases(before, summary.numbering.names)
    # Without the first comment of the preset, which speaks of VOC.
    _, _, preset = presets.text("voc_small").partition("\n\n")
    title = f"{parameters.title(out)}{path}` over the preset voc_small, which is made for photographs on a CPU.\n\n"
    text, kept = presets.merge(preset, title + parameters.text(changes)), []
    if before and (earlier := text_files.read(params)).startswith(parameters.title(out)):
        # What the user chose for this data set stays.
        text, kept = presets.keep(text, earlier, parameters.decided(changes, weights))
    # The file of the user is replaced by one that is right, or not at all.
    with storage.replacing(params) as unfinished:
        unfinished.write_text(text, encoding="utf-8")
        try:
            schema.check(unfinished)
        except errors.UserError as error:
            raise errors.UserError(str(error).replace(str(unfinished), str(params))) from None
    print(f"\n{out} and {params} are written" + (f"; your values of {', '.join(kept)} stay" if kept else ""))
    embeddings = sections.load(params, "embeddings", class_embeddings.Params)
    embedding_sources.load(summary.numbering.names, embeddings.path, embeddings)
    print("next: dvc repro zs3net, then: zeroshot predict IMAGE --model models/zs3net.pt --out predictions")


def _check_parameters(path: pathlib.Path) -> None:
    """Check a parameter file, and with that of the main pipeline those of the others beside it, whose faults are only printed."""
    import sys

    from zeroshot.base import params
    from zeroshot.experiments import schema

    main = path.resolve().parent.parent / path.name
    # The repository itself may be in a folder of this name.
    pipeline = path.resolve().parent.name if main.exists() else None
    if pipeline == "szn":
        schema.check_szn(path, main)
        schema.check_files(path, ["network.weights"])
        print(f"{path}: all {len(schema.SZN_SECTIONS)} sections are valid")
        return
    if pipeline == "zsi":
        schema.check_zsi(path)
        schema.check_files(path, ["detector.weights"])
        print(f"{path}: all {len(schema.ZSI_SECTIONS)} sections are valid")
        return
    schema.check(path)
    schema.check_files(path)
    print(f"{path}: all {len(schema.SECTIONS)} sections are valid")
    for name in ("szn", "zsi"):
        other = path.parent / name / path.name
        if other.exists():
            try:
                _check_parameters(other)
            except params.ParamsError as error:
                # People with a data set of their own need not run the other pipelines.
                text = f"Only `dvc repro {name}/dvc.yaml` reads {other}; the main pipeline can run."
                print(f"{error}\n{text}", file=sys.stderr)
