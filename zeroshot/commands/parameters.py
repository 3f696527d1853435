"""Print docs/parameters.md, docs/szn_parameters.md or docs/zsi_parameters.md, the description of every key of a parameter file."""

from typing import Annotated, Literal

import tyro


def main(pipeline: Annotated[Literal["main", "szn", "zsi"], tyro.conf.Positional] = "main") -> None:
    """Print the description of every key of params.yaml, or of szn/params.yaml or zsi/params.yaml, in Markdown.

    Args:
        pipeline: whose parameters, those of the main pipeline, of SZN or of ZSI.
    """
    from zeroshot.base import text_files
    from zeroshot.experiments import parameters_page, presets, schema

    if pipeline == "main":
        page = parameters_page.make(presets.text(presets.DEFAULT), schema.SECTIONS)
    else:
        path = f"{pipeline}/params.yaml"
        page = parameters_page.make(text_files.read(path), schema.FILES[path], parameters_page.HEADS[pipeline])
    print(page, end="")
