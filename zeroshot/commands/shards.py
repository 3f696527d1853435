"""Describe feature caches."""

import pathlib
import sys
from typing import Annotated

import tyro


def main(folders: Annotated[tyro.conf.Positional[tuple[pathlib.Path, ...]], tyro.conf.arg(metavar="DIR")]) -> None:
    """Describe feature caches: shards, rows, classes, moments, provenance. All checksums are verified.

    Args:
        folders: folders of caches, such as features/train.
    """
    from zeroshot.base import errors
    from zeroshot.cache import describe, index

    if not folders:
        raise errors.UserError("shards: name a cache, such as features/train")

    status = 0
    for folder in folders:
        try:
            print(describe.describe(folder))
        except index.ShardError as error:
            print(error, file=sys.stderr)
            status = 1
    if status:
        raise SystemExit(status)
