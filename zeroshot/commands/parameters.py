"""Print docs/parameters.md or docs/szn_parameters.md, the description of every key of a parameter file."""

from typing import Annotated, Literal

import tyro


def main(pipeline: Annotated[Literal["main", "szn"], tyro.conf.Positional] = "main") -> None:
    """Print the description of every key of params.yaml, or of szn/params.yaml, in Markdown.

    Args:
        pipeline: whose parameters, those of the main pipeline or of SZN.
    """
    from zeroshot.base import text_files
    from zeroshot.experiments import parameters_page, presets, schema

    if pipeline == "main":
        page = parameters_page.make(presets.text(presets.DEFAULT), schema.SECTIONS)
    else:
        default = text_files.read("szn/params.yaml")
        page = parameters_page.make(default, schema.SZN_SECTIONS, parameters_page.SZN_HEAD)
    print(page, end="")
