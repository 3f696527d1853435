"""The two label ids with the same meaning in every data set, and the colour of every label id."""

import numpy as np

BACKGROUND = 0
IGNORE_INDEX = 255


def palette() -> np.ndarray:
    """Return the colour map of the Pascal VOC development kit.

    Bit k of red, green and blue, counted from the highest bit, is bit 3k, 3k + 1 and 3k + 2 of the label id.

    Returns:
        (256, 3) uint8.
    """
    labels = np.arange(256)
    colours = np.zeros((256, 3), dtype=np.uint8)
    for bit in range(8):
        for channel in range(3):
            colours[:, channel] |= (((labels >> (3 * bit + channel)) & 1) << (7 - bit)).astype(np.uint8)
    return colours
