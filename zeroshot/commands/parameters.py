"""Print docs/parameters.md, the description of every key of params.yaml."""


def main() -> None:
    """Print the description of every key of params.yaml, in Markdown."""
    from zeroshot.experiments import parameters_page, presets, schema

    print(parameters_page.make(presets.text(presets.DEFAULT), schema.SECTIONS), end="")
