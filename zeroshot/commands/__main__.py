"""The command `zeroshot` and its sub-commands."""

from collections.abc import Sequence

from zeroshot.base import command_line
from zeroshot.commands import (
    add_class,
    check,
    cross_validate,
    export_onnx,
    figure,
    flags,
    parameters,
    predict,
    preset,
    queue,
    remove_class,
    report,
    reset,
    results,
    shards,
    tables,
    voc_instances,
)

COMMANDS = {
    "check": check.main,
    "voc-instances": voc_instances.main,
    "preset": preset.main,
    "parameters": parameters.main,
    "predict": predict.main,
    "add-class": add_class.main,
    "remove-class": remove_class.main,
    "export-onnx": export_onnx.main,
    "shards": shards.main,
    "results": results.main,
    "figure": figure.main,
    "report": report.main,
    "reset": reset.main,
    "queue": queue.main,
    "tables": tables.main,
    "flags": flags.main,
    "cross-validate": cross_validate.main,
}


def main(argv: Sequence[str] | None = None) -> None:
    """Run the sub-command in `argv`, or on the command line of the process if `argv` is None."""
    command_line.run_one_of(COMMANDS, "zeroshot", argv)


if __name__ == "__main__":
    main()
