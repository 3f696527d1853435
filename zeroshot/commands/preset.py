"""Write the parameter file of a preset."""

import pathlib
from typing import Annotated, Literal

import tyro


def main(
    name: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="NAME")],
    *,
    pipeline: Literal["main", "szn", "zsi"] = "main",
    out: pathlib.Path | None = None,
) -> None:
    """Write the parameter file of a preset, with a comment at every key.

    The result does not depend on the present content of the file: `preset toy` always gives the default.

    Args:
        name: a file of presets/, or of the pipeline's folder there, without .yaml. main has toy (the default), voc_small, voc and
            context; szn has toy and voc_small; zsi has toy, voc_small and coco.
        pipeline: main for params.yaml, szn for szn/params.yaml, zsi for zsi/params.yaml.
        out: the file to write; by default that of the pipeline.
    """
    from zeroshot.base import storage
    from zeroshot.experiments import presets

    is_main = pipeline == "main"
    text = presets.text(name, presets.FOLDER if is_main else presets.FOLDER / pipeline)
    if out is None:
        out = pathlib.Path("params.yaml") if is_main else pathlib.Path(pipeline, "params.yaml")
    storage.write_text(out, text)
    print(f"{out}: preset {name}")
