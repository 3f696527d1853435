"""Zero-shot segmentation: classes that were never annotated are segmented from their names.

Rooms, from the ground up: base; images, words; datasets; own_data; networks, cache; evaluation; one room a system; figures;
prediction; experiments; report; commands. Imports go down only. A file of stages/ shows how a room is used; start with
stages/train_gmmn.py.
"""

import typing

if typing.TYPE_CHECKING:
    import pathlib

    import numpy as np

    from zeroshot.prediction import model as model_file
    from zeroshot.prediction import segmenter


def predict(
    image: "np.ndarray", model: "model_file.Model | str | pathlib.Path", **options: typing.Any
) -> "segmenter.Segmentation":
    """Segment an image with a trained model, which is all that this needs.

    Args:
        image: (H, W, 3) uint8, RGB.
        model: a model file such as models/zs5net.pt, or for many images what `zeroshot.prediction.model.load` returns.
        options: the fields of `zeroshot.prediction.segmenter.Options`, for example `classes=("cow", "horse")` or `flip=True`.

    Returns:
        `labels` (H, W) uint16 and `confidence` (H, W) float32.

    Raises:
        errors.UserError: if the file is no model, or an option has a wrong value.
    """
    from zeroshot.prediction import model as model_file
    from zeroshot.prediction import segmenter

    loaded = model if isinstance(model, model_file.Model) else model_file.load(model)
    return segmenter.predict(image, loaded, segmenter.Options(**options))
