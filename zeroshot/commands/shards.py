"""Describe a feature cache: `python -m zeroshot.commands.shards features/train`."""

import argparse
import sys

from zeroshot.cache import describe, index


def main(argv: list[str] | None = None) -> int:
    """Print the description of each folder; return 1 if one cannot be read."""
    parser = argparse.ArgumentParser(prog="python -m zeroshot.commands.shards", description=__doc__)
    parser.add_argument("folders", nargs="+", metavar="DIR", help="a cache, such as features/train")
    status = 0
    for folder in parser.parse_args(argv).folders:
        try:
            print(describe.describe(folder))
        except index.ShardError as error:
            print(error, file=sys.stderr)
            status = 1
    return status


if __name__ == "__main__":
    sys.exit(main())
