"""Numbers of objects and classes, dealt to generated images."""

import collections

from zeroshot.datasets import dealing


def test_counts_and_classes_are_balanced_and_images_do_not_depend_on_each_other():
    images = [dealing.deal([5, 0], [5, 1], range(2, 5), 7, index) for index in range(14)]
    assert [sorted(map(len, images[first : first + 3])) for first in range(0, 12, 3)] == [[2, 3, 4]] * 4
    # Four blocks of 2 + 3 + 4 objects are five decks of 7 classes and one object.
    counts = collections.Counter(label for image in images[:12] for label in image)
    assert sorted(counts.values()) == [5] * 6 + [6] and set(counts) == set(range(7))
    assert images[9] == dealing.deal([5, 0], [5, 1], range(2, 5), 7, 9)
    assert images != [dealing.deal([6, 0], [6, 1], range(2, 5), 7, index) for index in range(14)]
