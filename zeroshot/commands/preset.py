"""Write the parameter file of a preset."""

import pathlib
from typing import Annotated, Literal

import tyro


def main(
    name: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="NAME")],
    *,
    pipeline: Literal["main", "szn"] = "main",
    out: pathlib.Path | None = None,
) -> None:
    """Write the parameter file of a preset, with a comment at every key.

    The result does not depend on the present content of the file: `preset toy` always gives the default.

    Args:
        name: toy (the default), voc_small, voc or context: a file of presets/, or of presets/szn/, without .yaml.
        pipeline: main for params.yaml, szn for szn/params.yaml.
        out: the file to write; by default that of the pipeline.
    """
    from zeroshot.base import storage
    from zeroshot.experiments import presets

    path = "params.yaml" if pipeline == "main" else f"{pipeline}/params.yaml"
    text = presets.text(name, presets.FOLDERS[path])
    out = pathlib.Path(path) if out is None else out
    storage.write_text(out, text)
    print(f"{out}: preset {name}")
