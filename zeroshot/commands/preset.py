"""Write the parameter file of a preset."""

import pathlib
from typing import Annotated

import tyro


def main(
    name: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="NAME")],
    *,
    out: pathlib.Path = pathlib.Path("params.yaml"),
) -> None:
    """Write the parameter file of a preset, with a comment at every key.

    The result does not depend on the present content of the file: `preset toy` always gives the default.

    Args:
        name: toy (the default), voc_small, voc or context: a file of presets/ without .yaml.
        out: the file to write.
    """
    from zeroshot.base import storage
    from zeroshot.experiments import presets

    storage.write_text(out, presets.text(name))
    print(f"{out}: preset {name}")
