"""Remove classes from a trained model."""

import pathlib
from typing import Annotated

import tyro


def main(
    names: Annotated[tyro.conf.Positional[tuple[str, ...]], tyro.conf.arg(metavar="NAME")],
    *,
    model: pathlib.Path,
    out: pathlib.Path,
) -> None:
    """Remove classes from a trained model, which then never predicts them.

    The label ids of the other classes stay as they are, so label maps of both models can be compared.

    Args:
        names: names of the classes.
        model: the model file, such as models/zs3net.pt.
        out: the new model file.
    """
    from zeroshot.base import checkpoints, errors, text_files
    from zeroshot.prediction import extension
    from zeroshot.prediction import model as model_file

    extension.check_out(model, out)
    if not names:
        raise errors.UserError("remove-class: name a class")
    content = extension.remove(model_file.read(model), [text_files.normalise(name) for name in names])
    checkpoints.save(out, content)
    print(f"{out}: {len(model_file.classifier_of(content).labels)} classes are left")
