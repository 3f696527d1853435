"""The label ids with the same meaning in every data set, their type and limits, and the colour of every label id."""

import functools

import numpy as np

# Type of label ids in arrays and in the cache. PyTorch computes with int64: convert with `.long()` or `astype(np.int64)`.
DTYPE = np.uint16
# Number of values of `DTYPE`: the length of a table that is indexed by any label id.
N_IDS = 2**16

BACKGROUND = 0
# Pixels without a label: ignored, or unlabelled.
IGNORE_INDEX = N_IDS - 1
# The value of `IGNORE_INDEX` in a mask file of 8 bits, as in VOC. A mask file of 16 bits has `IGNORE_INDEX` itself.
IGNORE_IN_8_BITS = 255
# Most classes of a data set. The label id 65534 is in reserve.
MAX_CLASSES = N_IDS - 2


@functools.cache
def palette() -> np.ndarray:
    """Return the colour map of the Pascal VOC development kit, continued beyond 255.

    Bit k of red, green and blue, counted from the highest bit, is bit 3k, 3k + 1 and 3k + 2 of the label id. Only `IGNORE_INDEX` and
    255 have each other's colours: VOC's colour of 255 is that of ignored pixels.

    Returns:
        (65536, 3) uint8, read-only.
    """
    labels = np.arange(N_IDS)
    colours = np.zeros((N_IDS, 3), dtype=np.uint8)
    for bit in range(8):
        for channel in range(3):
            colours[:, channel] |= (((labels >> (3 * bit + channel)) & 1) << (7 - bit)).astype(np.uint8)
    colours[[IGNORE_IN_8_BITS, IGNORE_INDEX]] = colours[[IGNORE_INDEX, IGNORE_IN_8_BITS]]
    colours.setflags(write=False)
    return colours
