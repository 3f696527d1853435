import pytest
import torch

from zeroshot.base import params
from zeroshot.zsi import sections
from zeroshot.zsi.regions import training_regions

OPTIONS = params.build(
    {
        "object_iou": 0.5,
        "background_iou": 0.25,
        "background_per_image": 3,
        "evaluation_per_image": 5,
        "seed": 0,
        "shard_mib": 1,
    },
    sections.Regions,
    "regions",
)
OBJECTS = torch.tensor([[0.0, 0.0, 10.0, 10.0], [20.0, 0.0, 30.0, 10.0]])
LABELS = torch.tensor([4, 2])


@pytest.mark.parametrize(
    ("box", "label", "nearest"),
    [
        ([0, 0, 10, 10], 4, 0),
        ([20, 0, 30, 20], 2, 1),  # IoU 0.5.
        ([20, 0, 30, 21], -1, 1),  # IoU 0.476, a part of it is no object.
        ([0, 0, 10, 39], -1, 0),  # IoU 0.256.
        ([0, 0, 10, 41], 0, 0),  # IoU 0.244.
        ([50, 50, 60, 60], 0, None),
        ([0, 0, 30, 10], -1, None),  # Both objects, with an IoU of 0.333 each.
    ],
)
def test_a_region_shows_the_object_that_it_covers_best(box, label, nearest):
    labels, objects = training_regions.label(torch.tensor([box]).float(), OBJECTS, LABELS, OPTIONS)
    assert labels.tolist() == [label]
    assert nearest is None or objects.tolist() == [nearest]


def test_without_an_object_all_is_background():
    boxes = torch.tensor([[0.0, 0.0, 10.0, 10.0]])
    labels, objects = training_regions.label(boxes, torch.zeros(0, 4), torch.zeros(0, dtype=torch.int64), OPTIONS)
    assert labels.tolist() == [0] and objects.tolist() == [0]


@pytest.mark.parametrize("n_objects", [0, 2])
def test_labels_are_on_the_device_of_the_regions(n_objects):
    boxes, objects = torch.empty(5, 4, device="meta"), torch.empty(n_objects, 4, device="meta")
    labels, nearest = training_regions.label(boxes, objects, torch.ones(n_objects, device="meta").long(), OPTIONS)
    assert labels.device == nearest.device == boxes.device
