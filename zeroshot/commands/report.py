"""Write one HTML page that describes the run in the workspace."""

import pathlib


def main(*, out: pathlib.Path = pathlib.Path("report.html"), classes: str = "") -> None:
    """Write one HTML page that describes the run in the workspace. It needs no other file and no network.

    A section whose stage has not run says which command makes it.

    Args:
        out: out: the page.
        classes: names of classes, parted by commas, whose real and synthetic features are shown; by default unseen classes and the seen
            classes that are nearest to them.
    """
    from zeroshot.base import errors, params, runtime, storage, text_files
    from zeroshot.evaluation import example_images
    from zeroshot.report import (
        image_sections,
        model_sections,
        page,
        run_record,
        score_sections,
        training_sections,
        workspace,
    )

    if out.is_dir():
        raise errors.UserError(f"{out}: is a folder; give the path of a file")
    file = pathlib.Path("params.yaml")
    device = runtime.start(params.load(file, "runtime", runtime.Params))
    options = params.load(file, "visualise", example_images.Params)
    data_root = pathlib.Path(params.data_path(file, "data.root"))
    run = workspace.read(pathlib.Path())
    evaluation = model_sections.evaluation(run, device)
    chosen = [text_files.normalise(name.strip()) for name in classes.split(",") if name.strip()]
    content = [
        score_sections.scores(run),
        score_sections.classes(run),
        image_sections.browser(run, evaluation, data_root, options),
        score_sections.confusion(run),
        model_sections.confidences(evaluation),
        model_sections.plane(run, evaluation, chosen, device),
        training_sections.similarity(run),
        training_sections.bias(run),
        training_sections.against_p(run, params.read(file)),
        score_sections.pseudo_labels(run),
        training_sections.curves(run),
        run_record.section(run, {"params.yaml": text_files.read(file)}),
    ]
    storage.write_text(out, page.render(*page.heading(run, data_root), content))
    print(f"{out}: {out.stat().st_size / storage.MIB:.1f} MiB; open it in a browser")
