"""Add classes to a trained model by their names."""

import pathlib
from typing import Annotated

import tyro


def main(
    names: Annotated[tyro.conf.Positional[tuple[str, ...]], tyro.conf.arg(metavar="NAME")],
    *,
    model: pathlib.Path,
    out: pathlib.Path,
    vectors: pathlib.Path | None = None,
    words: tuple[str, ...] = (),
    threads: int = 1,
) -> None:
    """Add classes to a trained model by their names. No image is needed.

    zs3net and zs5net: the generator makes features from the word vector of each new class, and its row of the last layer is trained on
    them against all classes. A table shows the accuracy of all classes before and after. szn: the row follows from the word vector, and
    the table shows the nearest other class. The rows of the old classes do not change.

    Args:
        names: names of the new classes; in quotes if a name has several words.
        model: the model file, such as models/zs3net.pt.
        out: the new model file.
        vectors: where the word vectors are now, if they are not where they were in training (`embeddings.path`).
        words: words to look up for a class in place of its name, as in `okapi=giraffe,zebra`; their mean is its vector.
        threads: threads of the computation.
    """
    from zeroshot.base import checkpoints, errors, progress, text_files
    from zeroshot.prediction import accuracy_table, extension
    from zeroshot.prediction import model as model_file

    extension.check_out(model, out)
    if not names:
        raise errors.UserError("add-class: name a class")
    import torch

    if threads < 1:
        raise errors.UserError(f"--threads: needs at least 1, found {threads}")
    torch.set_num_threads(threads)
    aliases = {}
    for word in words:
        name, equals, listed = word.partition("=")
        if not equals or not all(listed.split(",")):
            raise errors.UserError(f"--words: needs NAME=WORD,WORD, found `{word}`")
        aliases[text_files.normalise(name)] = tuple(listed.split(","))
    new = [text_files.normalise(name) for name in names]
    unknown = sorted(aliases.keys() - set(new))
    if unknown:
        raise errors.UserError(f"--words: `{unknown[0]}` is none of the new classes {', '.join(new)}")
    extended = extension.add(
        model_file.read(model),
        new,
        aliases,
        vectors,
        lambda items: progress.track(items, what="word vectors"),
        lambda epochs, n: progress.track(epochs, "train new classes", total=n),
    )
    checkpoints.save(out, extended.content)
    print(accuracy_table.render(extended))
