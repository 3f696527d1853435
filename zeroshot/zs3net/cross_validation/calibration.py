"""The bias on seen logits (DESIGN.md, section 4): tried in every fold of a cross-validation, chosen by the mean over folds."""

import dataclasses
import functools
from collections.abc import Callable, Iterable, Sequence
from typing import Annotated, Any, Protocol, TypeVar

import numpy as np
import pydantic

from zeroshot.base import parallel, params
from zeroshot.cache import rows
from zeroshot.zs3net import pixel_classifier
from zeroshot.zs3net.cross_validation import bias_metrics

# Of `Calibration.table`.
COLUMNS = ("held_out", "bias", "hIoU")


@params.section
class Params:
    """The section `classifier.calibration`; see params.yaml."""

    enabled: bool
    biases: Annotated[tuple[params.Float, ...], pydantic.Field(min_length=1)]
    folds: params.Count
    held_out: params.Count


class Named(Protocol):
    """A fold, of which calibration needs the name only."""

    @property
    def name(self) -> str:
        """What is held out, for people."""
        ...


Fold = TypeVar("Fold", bound=Named)


@dataclasses.dataclass(frozen=True)
class TrainedFold:
    """A classifier that a fold trained, and the rows that score it.

    Attributes:
        classifier: some of its classes play unseen; its own seen bias is not used.
        scored: rows of images that trained nothing in this fold, as in `bias_metrics.by_bias`.
        unit: how many logits of `classifier` a bias of 1 is.
        models: what else the fold trained and a caller may need; None if nothing.
    """

    classifier: pixel_classifier.PixelClassifier
    scored: rows.Rows
    unit: float = 1.0
    models: Any = None

    def metrics(self, biases: Sequence[float]) -> list[dict[str, float | None]]:
        """Return {seen, unseen, hIoU} at each bias."""
        return bias_metrics.by_bias(self.classifier, self.scored, [bias * self.unit for bias in biases])


@dataclasses.dataclass(frozen=True)
class Calibration:
    """What cross-validation says about the bias.

    Attributes:
        classifier: the one to calibrate, with the chosen bias; as it was where no fold was scored.
        bias: the chosen one of those tried; None where no fold was scored.
        table: a row of `COLUMNS` for each fold and bias, hIoU in per cent.
        warnings: texts for the user.
        models: `TrainedFold.models` of each fold that was scored, in the order of the folds.
    """

    classifier: pixel_classifier.PixelClassifier
    bias: float | None
    table: list[dict[str, str | float]]
    warnings: list[str]
    models: list[Any]


def calibrate(
    classifier: pixel_classifier.PixelClassifier,
    folds: Sequence[Fold],
    train_fold: Callable[[Fold], TrainedFold | None],
    biases: Sequence[float],
    *,
    key: str,
    unit: float = 1.0,
    workers: int = 1,
    track: Callable[..., Iterable[Any]] | None = None,
) -> Calibration:
    """Choose the seen bias of a classifier by training and scoring its like in every fold.

    Args:
        classifier: trained on all that the folds share out.
        folds: may be empty; the classifier then stays as it is.
        train_fold: trains one fold; None for a fold that has nothing to score. With two workers or more it must be picklable: a function of
            a module, perhaps bound to its other arguments by functools.partial.
        biases: those tried.
        key: the parameter that holds the biases, for warnings.
        unit: how many logits of `classifier` a bias of 1 is.
        workers: folds at a time, each in a process with one thread. It changes the speed, never a result.
        track: called as track(items, what, total=...), yields the items and reports progress, such as progress.track; None: no report.
    """
    score = functools.partial(_train_and_score, train_fold, tuple(biases))
    done = parallel.each(score, folds, workers)
    if track is not None and len(folds):
        done = track(done, "calibrate (folds)", total=len(folds))
    answers = [answer for _, answer in sorted(done, key=lambda pair: pair[0])]
    names = [fold.name for fold, answer in zip(folds, answers, strict=True) if answer is not None]
    scores, models = ([answer[part] for answer in answers if answer is not None] for part in (0, 1))
    if not scores:
        warnings = [f"no fold can be scored, so there is no seen bias and {key} is not used"] if len(folds) else []
        return Calibration(classifier, None, [], warnings, [])
    bias = choose(scores, biases)
    table = [
        {"held_out": name, "bias": tried, "hIoU": hiou}
        for name, curve in zip(names, scores, strict=True)
        for tried, hiou in zip(biases, curve, strict=True)
    ]
    warning = edge_warning(bias, biases, key)
    calibrated = dataclasses.replace(classifier, seen_bias=bias * unit)
    return Calibration(calibrated, bias, table, [warning] if warning else [], models)


def choose(scores: Sequence[Sequence[float]], biases: Sequence[float]) -> float:
    """Return the bias with the best mean hIoU over folds, the smallest of equals; `scores` is (folds, biases)."""
    mean = np.mean(scores, axis=0)
    return float(min(bias for bias, value in zip(biases, mean, strict=True) if value == mean.max()))


def edge_warning(best: float, biases: Sequence[float], key: str) -> str | None:
    """Return a warning if the best bias is an end of those tried, the values of parameter `key`; None if it is not."""
    for end, name, further in ((max, "largest", "larger"), (min, "smallest", "smaller")):
        if best == end(biases):
            return f"the best bias, {best:g}, is the {name} of {key}; try {further} ones"
    return None


def _train_and_score(
    train_fold: Callable[[Fold], TrainedFold | None], biases: Sequence[float], fold: Fold
) -> tuple[list[float | None], Any] | None:
    """Return the hIoU at each bias and the models of a fold, None if it has nothing to score."""
    trained = train_fold(fold)
    if trained is None:
        return None
    return [metrics["hIoU"] for metrics in trained.metrics(biases)], trained.models
