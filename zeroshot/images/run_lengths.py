"""COCO's masks as compressed run lengths, read with the checks that pycocotools lacks: of damaged ones it returns memory nobody wrote."""

import numpy as np

# Six bits of a character: five of the number, and one that says that more characters follow.
_OFFSET, _BITS, _MORE, _NEGATIVE = 48, 5, 32, 16
# pycocotools has numbers of 32 bits.
_MAX_CHARACTERS = 7


def decode(counts: str) -> np.ndarray | None:
    """Return the lengths of the runs of pixels outside and inside a mask by turns, column by column, the first outside.

    Args:
        counts: `counts` of a run-length encoding in COCO's compressed form.

    Returns:
        (n,) int64, which can be negative or fill no image if the text is damaged; None if it is no such text at all.
    """
    codes = np.frombuffer(counts.encode("utf-32-le"), np.uint32).astype(np.int64) - _OFFSET
    if not len(codes):
        return np.zeros(0, np.int64)
    if codes.min() < 0 or codes.max() >= 2 * _MORE or codes[-1] & _MORE:
        return None
    is_last = (codes & _MORE) == 0
    starts = np.flatnonzero(np.concatenate([[True], is_last[:-1]]))
    lengths = np.diff(starts, append=len(codes))
    if lengths.max() > _MAX_CHARACTERS:
        return None
    places = np.arange(len(codes)) - np.repeat(starts, lengths)
    runs = np.add.reduceat((codes & (_MORE - 1)) << _BITS * places, starts)
    runs[(codes[is_last] & _NEGATIVE) > 0] -= (1 << _BITS * lengths)[(codes[is_last] & _NEGATIVE) > 0]
    # From the fourth on, a number is the difference to the last but one.
    runs[1::2] = np.cumsum(runs[1::2])
    runs[2::2] = np.cumsum(runs[2::2])
    return runs


def fills(counts: str, size: tuple[int, int]) -> bool:
    """Return whether compressed run lengths are whole and fill an image of this (height, width)."""
    runs = decode(counts)
    return runs is not None and len(runs) > 0 and runs.min() >= 0 and runs.sum() == size[0] * size[1]
