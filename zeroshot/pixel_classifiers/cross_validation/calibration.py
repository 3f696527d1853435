"""Choice of the bias on seen logits by cross-validation: the bias with the best mean over folds (docs/method.md)."""

import dataclasses
import functools
from collections.abc import Callable, Iterable, Sequence
from typing import Annotated, Any, Generic, Protocol, TypeVar

import numpy as np
import pydantic

from zeroshot.base import parallel, params
from zeroshot.cache import rows
from zeroshot.pixel_classifiers import masked_classifier, pixel_classifier
from zeroshot.pixel_classifiers.cross_validation import bias_metrics

# Columns of `Calibration.table`.
COLUMNS = ("held_out", "bias", "hIoU")


@params.section
class Params:
    """The section `classifier.calibration`; see params.yaml."""

    enabled: bool
    biases: Annotated[tuple[params.Float, ...], pydantic.Field(min_length=1)]
    folds: params.Count
    held_out: params.Count


class Named(Protocol):
    """A fold; calibration needs only its name."""

    @property
    def name(self) -> str:
        """What the fold holds out, shown to the user."""
        ...


Fold = TypeVar("Fold", bound=Named)
Classifier = TypeVar("Classifier", pixel_classifier.PixelClassifier, masked_classifier.MaskedClassifier)


@dataclasses.dataclass(frozen=True)
class TrainedFold:
    """The classifier of a fold, and the rows that score it.

    Attributes:
        classifier: some of its classes act as unseen; its own seen bias is not used.
        scored: rows of images that did not train in this fold, as in `bias_metrics.by_bias`.
        unit: a bias of 1, in logits of `classifier`.
        models: further models of the fold for the caller; None if there are none.
    """

    classifier: bias_metrics.Sided
    scored: rows.Rows
    unit: float = 1.0
    models: Any = None

    def metrics(self, biases: Sequence[float]) -> list[dict[str, float | None]]:
        """Return {seen, unseen, hIoU} at each bias."""
        return bias_metrics.by_bias(self.classifier, self.scored, [bias * self.unit for bias in biases])


@dataclasses.dataclass(frozen=True)
class Calibration(Generic[Classifier]):
    """The result of cross-validating the seen bias.

    Attributes:
        classifier: the given classifier with the chosen bias; unchanged if no fold was scored.
        bias: the chosen bias; None if no fold was scored.
        table: a row of `COLUMNS` for each fold and bias, hIoU in per cent.
        warnings: messages for the user.
        models: `TrainedFold.models` of each fold that was scored, in the order of the folds.
    """

    classifier: Classifier
    bias: float | None
    table: list[dict[str, str | float]]
    warnings: list[str]
    models: list[Any]


def calibrate(
    classifier: Classifier,
    folds: Sequence[Fold],
    train_fold: Callable[[Fold], TrainedFold | None],
    biases: Sequence[float],
    *,
    key: str,
    term: str = "seen bias",
    unit: float = 1.0,
    workers: int = 1,
    track: Callable[..., Iterable[Any]] | None = None,
) -> Calibration[Classifier]:
    """Choose the seen bias of a classifier by training and scoring a classifier of the same kind in every fold.

    Args:
        classifier: trained on the data of all folds.
        folds: if there are none, the classifier is not changed.
        train_fold: trains one fold; returns None for a fold that cannot be scored. With two workers or more it must be picklable: a
            module-level function, whose other arguments may be bound with functools.partial.
        biases: the biases to try.
        key: the parameter that holds the biases, for warnings.
        term: what a bias is called there. With a seen mask it is the threshold of the mask.
        unit: a bias of 1, in logits of `classifier`.
        workers: folds trained at the same time, each in a process with one thread. It does not change results.
        track: called as track(items, name, total=...), yields the items and reports progress, as progress.track does; None for no report.
    """
    score = functools.partial(_train_and_score, train_fold, tuple(biases))
    scored_folds = parallel.each(score, folds, workers)
    if track is not None and len(folds):
        scored_folds = track(scored_folds, "calibrate (folds)", total=len(folds))
    results = [result for _, result in sorted(scored_folds, key=lambda pair: pair[0])]
    names = [fold.name for fold, result in zip(folds, results, strict=True) if result is not None]
    scores, models = ([result[part] for result in results if result is not None] for part in (0, 1))
    if not scores:
        warnings = [f"no fold can be scored, so there is no {term} and {key} is not used"] if len(folds) else []
        return Calibration(classifier, None, [], warnings, [])
    bias = choose(scores, biases)
    table = [
        {"held_out": name, "bias": candidate, "hIoU": hiou}
        for name, curve in zip(names, scores, strict=True)
        for candidate, hiou in zip(biases, curve, strict=True)
    ]
    warning = edge_warning(bias, biases, key, term)
    calibrated = dataclasses.replace(classifier, seen_bias=bias * unit)
    return Calibration(calibrated, bias, table, [warning] if warning else [], models)


def choose(scores: Sequence[Sequence[float]], biases: Sequence[float]) -> float:
    """Return the bias with the best mean hIoU over folds, the smallest if several are best; `scores` is (folds, biases)."""
    mean = np.mean(scores, axis=0)
    return float(min(bias for bias, value in zip(biases, mean, strict=True) if value == mean.max()))


def edge_warning(best: float, biases: Sequence[float], key: str, term: str = "seen bias") -> str | None:
    """Return a warning if the best of several `biases`, the values of parameter `key`, is at an end; None otherwise. `term` is its name."""
    if len(set(biases)) == 1:
        return None
    for end, name, further in ((max, "largest", "larger"), (min, "smallest", "smaller")):
        if best == end(biases):
            return f"the best {term}, {best:g}, is the {name} of {key}; try {further} ones"
    return None


def _train_and_score(
    train_fold: Callable[[Fold], TrainedFold | None], biases: Sequence[float], fold: Fold
) -> tuple[list[float | None], Any] | None:
    """Return the hIoU at each bias and the models of a fold; None if it cannot be scored."""
    trained = train_fold(fold)
    if trained is None:
        return None
    scores = [metrics["hIoU"] for metrics in trained.metrics(biases)]
    # None where its evaluation images have no sampled pixel of one group.
    return None if None in scores else (scores, trained.models)
