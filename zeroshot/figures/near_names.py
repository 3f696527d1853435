"""Messages about names that a user mistyped."""

from collections.abc import Collection, Iterable

import rapidfuzz

from zeroshot.base import errors

# Number of near names in a message, and how similar they must be, 0 to 100.
_MOST, _SIMILARITY = 3, 50


def check(place: str, kind: str, names: Iterable[str], known: Collection[str]) -> None:
    """Refuse names that do not exist, all in one message.

    Args:
        place: where they would be, such as the folder of a cache.
        kind: what they name, such as `image`.
        names: the names that the user gave.
        known: all that exist.

    Raises:
        errors.UserError: with a line for each unknown name; it has the near names that exist, or else the first ones.
    """
    lines = []
    for name in dict.fromkeys(names):
        if name in known:
            continue
        near = rapidfuzz.process.extract(
            name, list(known), processor=str.lower, scorer=rapidfuzz.fuzz.ratio, limit=_MOST, score_cutoff=_SIMILARITY
        )
        if near:
            hint = f"near names: {', '.join(match for match, *_ in near)}"
        else:
            some = ", ".join(sorted(known)[: errors.MAX_LISTED])
            hint = f"there are {some}{', ...' if len(known) > errors.MAX_LISTED else ''}" if some else "there is none"
        lines.append(f"{place}: no {kind} `{name}`; {hint}")
    if lines:
        raise errors.UserError("\n".join(lines))
