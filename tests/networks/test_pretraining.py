import pytest

from zeroshot.base import errors
from zeroshot.networks import pretraining


@pytest.mark.parametrize(
    ("name", "content", "possible"),
    [
        ("none", b"", {"none"}),
        ("IMAGENET1K_V1", b"", {"labels", "other_labels"}),
        ("none", b"weights", {"labels", "other_labels", "self_supervised"}),
        ("moco.pth", b"weights", {"labels", "other_labels", "self_supervised"}),
    ],
)
@pytest.mark.parametrize("recorded", list(pretraining.SENTENCES))
def test_record_must_be_possible_for_the_weights(tmp_path, name, content, possible, recorded):
    (tmp_path / name).write_bytes(content)
    if recorded in possible:
        pretraining.check(recorded, tmp_path / name)
        return
    with pytest.raises(errors.UserError) as caught:
        pretraining.check(recorded, tmp_path / name)
    assert str(caught.value).startswith(
        f"backbone.pretraining: is {recorded}, and backbone.weights, {tmp_path / name},"
    )
    assert set(str(caught.value).split("set it to ")[1].split(" or ")) == possible


def test_a_missing_file_is_left_to_the_reader_of_weights(tmp_path):
    pretraining.check("none", tmp_path / "missing.pth")
