"""Collecting everything that is wrong with a dataset, so that one run reports it all."""

from zeroshot.base import errors

SHOWN = 20


class DatasetError(errors.UserError):
    """Raised once for all faults of a dataset; the text lists them by kind."""


class Problems:
    """Faults by kind, in the order in which they were found."""

    def __init__(self) -> None:
        self._details: dict[str, list[str]] = {}

    def add(self, kind: str, detail: str) -> None:
        """Note one fault: `kind` says what is wrong and what is needed, `detail` where and what was found."""
        self._details.setdefault(kind, []).append(detail)

    def raise_any(self, where: str) -> None:
        """Raise a DatasetError if any fault was noted; at most `SHOWN` details stand under each kind.

        Args:
            where: the dataset, for the first line of the text.
        """
        if not self._details:
            return
        total = sum(map(len, self._details.values()))
        lines = [f"{where}: {total} problem{'s' if total > 1 else ''}"]
        for kind, details in self._details.items():
            lines.append(f"  {kind} ({len(details)}):")
            lines.extend(f"    {detail}" for detail in details[:SHOWN])
            if len(details) > SHOWN:
                lines.append(f"    and {len(details) - SHOWN} more")
        raise DatasetError("\n".join(lines))
