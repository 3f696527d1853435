"""The three roles of SZN's classes: train_seen, train_unseen (held out to teach the seen mask) and unseen."""

import dataclasses
from collections.abc import Sequence
from typing import Annotated, Literal

import numpy as np
import pydantic

from zeroshot.base import errors, params
from zeroshot.datasets import layout, published

# Names, or a number of names to draw. With the tags, messages have the faults of one kind, not of both.
NamesOrNumber = Annotated[
    Annotated[tuple[layout.Name, ...], pydantic.Tag("names")]
    | Annotated[int, pydantic.Field(ge=0), pydantic.Tag("number")],
    pydantic.Discriminator(lambda value: "number" if isinstance(value, int | float) else "names"),
]


@params.section
class Params:
    """The `split` section of szn/params.yaml, which documents every key."""

    published: Literal["voc_9_2_10", "voc_17_2_2", "voc_21_0_0", "context33_29_2_2"] | None
    train_unseen: NamesOrNumber | None
    unseen: tuple[layout.Name, ...] | None
    seed: params.Seed

    @pydantic.field_validator("unseen", "train_unseen")
    @classmethod
    def _given_if_not_published(
        cls, value: tuple[str, ...] | int | None, info: pydantic.ValidationInfo
    ) -> tuple[str, ...] | int | None:
        name = info.data.get("published")
        if name and value is not None:
            raise ValueError(f"must be null where `published` is given (published is {name})")
        if "published" in info.data and not name and value is None:
            number = " or a number of classes" if info.field_name == "train_unseen" else ""
            raise ValueError(f"must be a list of class names{number} where `published` is null ([] for no class)")
        return value


def apply(options: Params, classes: Sequence[str], data: layout.Params) -> layout.Params:
    """Return section `data` with the unseen and train_unseen classes of section `split` in place of its own.

    Args:
        options: section `split`.
        classes: class names in label order, the background or its place holder first.
        data: section `data` of the main pipeline.

    Raises:
        errors.UserError: if the published roles are those of other classes, or too many classes are to be drawn.
    """
    if options.published:
        roles = published.SZN[options.published]
        if tuple(classes) != published.DATASETS[roles.dataset].classes:
            raise errors.UserError(
                f"szn/params.yaml: split.published: {options.published} has roles for the classes of data.classes: {roles.dataset}, "
                f"and params.yaml has data.classes: {data.classes}; change one of them, or name the classes in split.unseen and "
                "split.train_unseen"
            )
        unseen, train_unseen = roles.unseen, roles.train_unseen
    else:
        unseen = options.unseen or ()
        train_unseen = options.train_unseen or ()
    if isinstance(train_unseen, int):
        train_unseen = draw(train_unseen, [name for name in classes[1:] if name not in unseen], options.seed)
    return dataclasses.replace(data, n_unseen=None, unseen=unseen, train_unseen=train_unseen)


def count(options: Params, classes: Sequence[str], data: layout.Params) -> tuple[int, int, int | None]:
    """Return the numbers of unseen, train_unseen and train_seen classes, the last without the background.

    Without class names, which a stage may still have to write, nothing is drawn and the number of train_seen classes is None; other
    arguments and errors are those of `apply`.
    """
    if classes:
        named = apply(options, classes, data)
        n_unseen, n_train_unseen = len(named.unseen or ()), len(named.train_unseen)
        return n_unseen, n_train_unseen, len(classes) - 1 - n_unseen - n_train_unseen
    listed = published.SZN[options.published] if options.published else options
    train_unseen = listed.train_unseen or 0
    return len(listed.unseen or ()), train_unseen if isinstance(train_unseen, int) else len(train_unseen), None


def draw(number: int, names: Sequence[str], seed: int) -> tuple[str, ...]:
    """Return `number` of `names`, drawn without replacement. With the same seed, a larger number contains the smaller.

    Raises:
        errors.UserError: if no name would be left.
    """
    if number >= len(names):
        raise errors.UserError(
            f"szn/params.yaml: split.train_unseen: {number} of the {len(names)} object classes that are not unseen; at least one must be "
            "left for the network"
        )
    order = np.random.default_rng(seed).permutation(len(names))
    return tuple(names[int(place)] for place in order[:number])
