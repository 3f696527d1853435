"""The detector's losses, gradients and synchronised background."""

import re

import numpy as np
import pytest
import torch

from tests.support import disks_and_squares
from zeroshot.base import checkpoints, errors, params
from zeroshot.datasets.instances import class_list
from zeroshot.zsi import detector as zsi_detector
from zeroshot.zsi import detector_files, inference

RPN = ("objectness", "rpn_box")
PYRAMID = {"anchors": {"sizes": [8, 16, 32, 64, 128]}}


def losses_of(detector, seed=0):
    torch.manual_seed(seed)
    return detector.train().losses(*disks_and_squares.batch(2))


def test_only_the_loss_of_the_rpn_gives_a_gradient_to_the_background():
    detector = disks_and_squares.new_detector()
    rows = detector.rpn.head.background_rows
    losses = losses_of(detector)
    of_heads = torch.stack([loss for name, loss in losses.items() if name not in RPN]).sum()
    (gradient,) = torch.autograd.grad(of_heads, rows, retain_graph=True, allow_unused=True)
    assert gradient is None
    (gradient,) = torch.autograd.grad(losses["objectness"], rows)
    assert gradient.abs().sum() > 0


@pytest.mark.parametrize("mask", [True, False])
@pytest.mark.parametrize("box", [True, False])
@pytest.mark.parametrize("training", [True, False])
def test_column_0_of_synced_word_vectors_is_the_background_after_a_forward(training, box, mask):
    detector = disks_and_squares.new_detector(sync_background={"box": box, "mask": mask})
    words = torch.from_numpy(disks_and_squares.vectors())
    with torch.no_grad():
        detector.rpn.head.background_rows.normal_()
    if training:
        losses_of(detector)
    else:
        inference.regions(detector.eval(), disks_and_squares.batch(1)[0][0])
    learned = detector.rpn.head.background()
    for head, is_synced in ((detector.box_head, box), (detector.mask_head, mask)):
        torch.testing.assert_close(head.vectors[0], learned if is_synced else words[0], rtol=0, atol=0)
        assert (head.vectors[1:] == words[1:]).all()
    # The way back from mask logits is never synced.
    assert (detector.mask_head.projection == words[:7]).all()


def test_word_vectors_are_no_parameters_and_are_in_the_state():
    detector = disks_and_squares.new_detector()
    names = {"box_head.vectors", "mask_head.vectors", "mask_head.projection"}
    assert names <= set(detector.state_dict()) and not names & {name for name, _ in detector.named_parameters()}


class TwoObjects(torch.nn.Module):
    """A head of the RPN that is sure at the 25 places around one object, and less sure at the only place of another."""

    def forward(self, maps):
        (level,) = maps
        objectness = torch.full((len(level), 1, *level.shape[-2:]), -10.0)
        objectness[:, :, 4:9, 4:9] = 5.0
        objectness[:, :, 18, 18] = 1.0
        return [objectness], [torch.zeros(len(level), 4, *level.shape[-2:])]


@pytest.mark.parametrize(("candidates", "is_proposed"), [(25, False), (26, True)])
def test_a_less_visible_object_is_proposed_if_not_all_candidates_are_on_a_surer_one(candidates, is_proposed):
    detector = disks_and_squares.new_detector(
        anchors={"sizes": [28]},
        min_side=96,
        max_side=96,
        rpn={"candidates_test": candidates, "proposals_test": 15},
        sync_background={"box": False, "mask": False},
    ).eval()
    detector.rpn.head = TwoObjects()
    boxes = inference.regions(detector, torch.zeros(3, 96, 96, dtype=torch.uint8)).boxes
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2
    # Cells are 4 pixels wide, and anchors of neighbouring ones overlap by three quarters, so some of the 25 are dropped.
    assert ((centres - 4 * 18).abs().amax(dim=1) <= 2).any() == is_proposed
    assert len(boxes) < 15


def test_training_and_detection_have_numbers_of_candidates_and_proposals_of_their_own():
    numbers = {"candidates_train": 90, "candidates_test": 80, "proposals_train": 30, "proposals_test": 20}
    proposal_network = disks_and_squares.new_detector(rpn=numbers).rpn
    for mode, expected in ((True, (90, 30)), (False, (80, 20))):
        proposal_network.train(mode)
        assert (proposal_network.pre_nms_top_n(), proposal_network.post_nms_top_n()) == expected


def test_more_proposals_than_candidates_are_refused():
    with pytest.raises(
        params.ParamsError, match=r"rpn: proposals_test is 101, but candidates_test allows 100; raise candidates_test$"
    ):
        disks_and_squares.options(rpn={"proposals_test": 101})


def trained(names, steps):
    """Return the first and the last value of each loss, of a training on the sum of the named ones."""
    detector = disks_and_squares.new_detector()
    optimizer = torch.optim.AdamW(detector.parameters(), 2e-3)
    rows = []
    for step in range(steps):
        losses = losses_of(detector)
        rows.append({name: loss.item() for name, loss in losses.items()})
        if step < steps - 1:
            optimizer.zero_grad()
            torch.stack([losses[name] for name in names or losses]).sum().backward()
            optimizer.step()
    return rows[0], rows[-1]


@pytest.mark.parametrize("name", ["box_reconstruction", "mask_reconstruction"])
def test_a_reconstruction_becomes_better_in_a_few_steps(name):
    first, last = trained([name], 10)
    assert last[name] < 0.5 * first[name]


def test_detection_becomes_better_in_a_few_steps():
    first, last = trained(None, 20)
    for name in ("objectness", "mask"):
        assert last[name] < 0.9 * first[name], name


def test_without_a_reconstruction_its_loss_and_decoder_are_gone_and_all_else_is_as_before():
    whole = disks_and_squares.new_detector()
    losses = losses_of(whole)
    for head in ("box", "mask"):
        detector = disks_and_squares.new_detector(**{f"{head}_head": {"reconstruction": 0.0}})
        state, rest = whole.state_dict(), detector.state_dict()
        gone = set(state) - set(rest)
        assert gone and all(name.startswith(f"{head}_head.decoder") for name in gone)
        assert all((state[name] == rest[name]).all() for name in rest)
        fewer = losses_of(detector)
        assert set(losses) - set(fewer) == {f"{head}_reconstruction"}
        assert all(losses[name] == fewer[name] for name in fewer)


def test_without_background_aware_rpn_torchvisions_head_proposes():
    off = {"rpn": {"background_aware": False}, "sync_background": {"box": False, "mask": False}}
    detector = disks_and_squares.new_detector(**off)
    assert not hasattr(detector.rpn.head, "background_rows")
    assert all(torch.isfinite(loss) for loss in losses_of(detector).values())
    with pytest.raises(params.ParamsError, match=r"detector\.sync_background: needs rpn\.background_aware: true"):
        disks_and_squares.options(rpn={"background_aware": False})


def test_losses_of_images_without_an_object_are_finite_and_reach_the_encoder():
    detector = disks_and_squares.new_detector()
    images, _ = disks_and_squares.batch(2)
    empty = disks_and_squares.target([])
    losses = detector.train().losses(images, [empty, empty])
    assert losses["box"] == losses["mask"] == losses["mask_reconstruction"] == 0
    torch.stack([*losses.values()]).sum().backward()
    gradients = [parameter.grad for parameter in detector.parameters() if parameter.grad is not None]
    assert all(torch.isfinite(gradient).all() for gradient in gradients)
    assert detector.backbone.stem[0].weight.grad.abs().sum() > 0


@pytest.mark.parametrize("encoder", ["small_cnn", "resnet50", "mobilenet_v2", "mobilenet_v3_large"])
def test_all_weights_get_a_gradient_but_those_of_the_mask_decoder_from_images_without_an_object(encoder):
    anchors = PYRAMID if encoder != "small_cnn" else {}
    detector = disks_and_squares.new_detector(encoder=encoder, freeze="stem", **anchors).train()
    images, targets = disks_and_squares.batch(2)
    nothing = [disks_and_squares.target([])] * 2
    decoder = {f"mask_head.decoder.{name}" for name, _ in detector.mask_head.decoder.named_parameters()}
    for given, unused in ((targets, set()), (nothing, decoder)):
        detector.zero_grad()
        torch.stack([*detector.losses(images, given).values()]).sum().backward()
        trained = {name: weight.grad for name, weight in detector.named_parameters() if weight.requires_grad}
        assert {name for name, gradient in trained.items() if gradient is None} == unused


def test_an_object_of_one_pixel_and_an_image_of_one_pixel_can_be_trained_on():
    mask = torch.zeros(1, 40, 48, dtype=torch.uint8)
    mask[0, 20, 31] = 1
    one = {"boxes": torch.tensor([[31.0, 20, 32, 21]]), "labels": torch.tensor([2]), "masks": mask}
    one["crowd"] = torch.zeros(0, 4)
    dot = {"boxes": torch.tensor([[0.0, 0, 1, 1]]), "labels": torch.tensor([1]), "masks": torch.ones(1, 1, 1).byte()}
    dot["crowd"] = torch.zeros(0, 4)
    images = [torch.zeros(3, 40, 48, dtype=torch.uint8), torch.zeros(3, 1, 1, dtype=torch.uint8)]
    losses = disks_and_squares.new_detector().train().losses(images, [one, dot])
    assert all(torch.isfinite(loss) for loss in losses.values()) and losses["mask"] > 0


def test_smooth_l1_of_boxes_has_beta_1_and_is_divided_by_all_regions():
    head = disks_and_squares.new_detector().box_head
    features, labels = torch.randn(5, 32), torch.tensor([0, 3, 0, 1, 0])
    targets = 3 * torch.randn(5, 4)
    difference = (head.deltas(features)[:, 0] - targets)[labels > 0].abs().detach().numpy()
    expected = np.where(difference < 1, difference**2 / 2, difference - 0.5).sum() / 5
    assert head.losses(features, labels, targets)["box"].item() == pytest.approx(expected, rel=1e-5)


def test_the_official_loss_trains_the_regressor_of_the_true_class_alone():
    head = disks_and_squares.new_detector(box_head={"regression": "official"}).box_head
    features, labels = torch.randn(4, 32), torch.tensor([0, 3, 3, 0])
    head.losses(features, labels, torch.randn(4, 4))["box"].backward()
    rows = head.regressor.weight.grad.view(7, 4, -1).abs().sum(dim=(1, 2))
    assert torch.nonzero(rows).flatten().tolist() == [3]


def test_official_regression_gives_unseen_class_k_the_regressor_of_seen_class_k():
    labels = torch.tensor([1, 2, 6, 7, 8])
    agnostic = disks_and_squares.new_detector().box_head
    official = disks_and_squares.new_detector(box_head={"regression": "official"}).box_head
    assert official.columns(labels).tolist() == [1, 2, 6, 1, 2]
    assert agnostic.columns(labels).tolist() == [0] * 5


def test_official_regression_refuses_more_unseen_than_seen_classes(tmp_path):
    (tmp_path / "none").write_bytes(b"")
    classes = class_list.of_roles([("a", 1)], [("b", 2), ("c", 3)])
    options = disks_and_squares.options(box_head={"regression": "official"})
    with pytest.raises(errors.UserError, match=r"detector\.box_head\.regression: is official.*1 seen and 2 unseen"):
        zsi_detector.build(options, torch.randn(4, 5), classes, tmp_path / "none")


@pytest.mark.parametrize("encoder", ["mobilenet_v2", "mobilenet_v3_large"])
def test_encoders_with_a_pyramid_have_five_levels_and_train_in_bfloat16(encoder):
    detector = disks_and_squares.new_detector(encoder=encoder, **PYRAMID)
    with torch.autocast("cpu", torch.bfloat16):
        losses = losses_of(detector)
    assert {loss.dtype for loss in losses.values()} == {torch.float32}
    assert all(torch.isfinite(loss) for loss in losses.values())
    maps = detector.maps(torch.zeros(1, 3, 64, 64))
    assert [level.shape[-1] for level in maps.values()] == [16, 8, 4, 2, 1]
    assert {level.shape[1] for level in maps.values()} == {16}


def test_a_pyramid_needs_an_anchor_size_for_each_level():
    with pytest.raises(params.ParamsError, match=r"detector\.anchors: resnet50 has 5 levels, so it needs 5 sizes"):
        disks_and_squares.options(encoder="resnet50")


def test_equal_seeds_give_equal_detectors_and_losses():
    one, other = (losses_of(disks_and_squares.new_detector(), seed=3) for _ in range(2))
    assert one == other
    assert losses_of(disks_and_squares.new_detector(seed=1), seed=3) != one


def test_a_checkpoint_gives_the_same_detector(tmp_path):
    options = disks_and_squares.options(mask_head={"reconstruction": 0.0})
    detector = zsi_detector.Detector(options, torch.from_numpy(disks_and_squares.vectors()), 6).eval()
    content = detector_files.checkpoint(detector, options, disks_and_squares.CLASSES)
    checkpoints.save(tmp_path / "detector.pt", content)
    loaded, classes = detector_files.load(checkpoints.load(tmp_path / "detector.pt", detector_files.Checkpoint))
    assert classes == disks_and_squares.CLASSES
    image = disks_and_squares.batch(1)[0][0]
    one, other = inference.regions(detector, image), inference.regions(loaded, image)
    assert torch.equal(one.boxes, other.boxes) and torch.equal(one.features, other.features)


def test_a_damaged_checkpoint_is_refused():
    options = disks_and_squares.options()
    detector = disks_and_squares.new_detector()
    content = detector_files.checkpoint(detector, options, disks_and_squares.CLASSES)
    content["network"] = {key: value for key, value in content["network"].items() if key != "box_head.regressor.bias"}
    with pytest.raises(errors.UserError, match=re.escape("box_head.regressor.bias")):
        detector_files.load(content)
    content["network"] = {}
    with pytest.raises(errors.UserError, match=re.escape("box_head.vectors")):
        detector_files.load(content)
