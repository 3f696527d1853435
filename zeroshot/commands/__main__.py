"""The command `zeroshot` and its sub-commands."""

from collections.abc import Sequence

from zeroshot.base import command_line
from zeroshot.commands import (
    check,
    cross_validate,
    flags,
    parameters,
    predict,
    preset,
    queue,
    reset,
    results,
    shards,
    tables,
)

COMMANDS = {
    "check": check.main,
    "preset": preset.main,
    "parameters": parameters.main,
    "predict": predict.main,
    "shards": shards.main,
    "results": results.main,
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
