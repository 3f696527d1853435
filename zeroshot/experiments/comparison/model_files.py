"""Where a pipeline has the files of a model.

The name of a model of another pipeline starts with the folder of that pipeline, as in `szn/fcn_je`. Such a pipeline has the folders of the
main one with a folder of its own in each.
"""

import pathlib

from zeroshot.evaluation import metrics_files


def metrics(model: str) -> str:
    """Return the path of the metrics file of a model."""
    return f"metrics/{model}.json"


def is_metrics(path: str) -> bool:
    """Return whether `path`, relative to the repository, is a metrics file of a model."""
    pure = pathlib.PurePosixPath(path)
    return (
        len(pure.parts) in (2, 3)
        and pure.parts[0] == "metrics"
        and pure.suffix == ".json"
        and pure.name != metrics_files.SUMMARY
    )


def image_confusions(model: str) -> str:
    """Return the path of the confusion matrices of a model, one for each evaluation image."""
    return f"metrics/{model}_images.h5"


def split(model: str) -> str:
    """Return the path of the split that a model was trained on."""
    return str(pathlib.PurePosixPath("data", pipeline(model), "split.json"))


def classifier(model: str) -> str:
    """Return the path of the classifier of a model."""
    path = pathlib.PurePosixPath(model)
    return str(pathlib.PurePosixPath("models", path.parent, "classifiers", f"{path.name}.pt"))


def pictures(model: str) -> str:
    """Return the folder of the example images that show a model."""
    return str(pathlib.PurePosixPath("plots", pipeline(model), "pictures"))


def pipeline(model: str) -> str:
    """Return the folder of the pipeline of a model; an empty text for the main pipeline."""
    return model.rpartition("/")[0]
