"""Compare the pseudo-labels with the true labels of the unlabelled images; no stage reads this report."""

import pathlib

from zeroshot.base import command_line


def main(
    *,
    split_path: pathlib.Path,
    features_dir: pathlib.Path,
    pseudo_dir: pathlib.Path,
    later_rounds_path: pathlib.Path,
    masks_dir: pathlib.Path,
    report_path: pathlib.Path,
    later_report_path: pathlib.Path,
) -> None:
    """Compare the pseudo-labels with the true labels of the unlabelled images; no stage reads this report.

    Args:
        split_path: the split.
        features_dir: cache of unlabelled pixels.
        pseudo_dir: cache of pseudo-labelled pixels.
        later_rounds_path: pixels pseudo-labelled in rounds after the first.
        masks_dir: masks of the unlabelled images, which training does not read.
        report_path: out: precision and coverage by class.
        later_report_path: out: precision and coverage by class and later round.
    """
    import functools

    from zeroshot.base import storage
    from zeroshot.cache import index, rows
    from zeroshot.datasets import splits
    from zeroshot.zs3net.pseudo_labels import precision, pseudo_cache

    split = splits.read(split_path)
    described = index.read(features_dir, "rows")
    true = precision.cells(rows.read(features_dir), described, masks_dir, len(split.classes))
    table = functools.partial(
        precision.table, true=true, index=described, masks=masks_dir, classes=split.classes, unseen=split.unseen
    )
    storage.write_csv(report_path, table(rows.read(pseudo_dir)))
    rounds = pseudo_cache.read_later_rounds(later_rounds_path)
    later = [{"round": number, **row} for number, pseudo in rounds.items() for row in table([pseudo])]
    storage.write_csv(later_report_path, later, ["round", *precision.COLUMNS])
    why = pseudo_cache.why_empty(pseudo_dir, split.unseen)
    if why:
        print(f"report_pseudo_labels: no pseudo-labels to compare, since {why}")
    n_unmasked = precision.count_unmasked(described, masks_dir)
    if n_unmasked:
        print(
            f"report_pseudo_labels: {n_unmasked:,} of {len(described.images):,} unlabelled images have no mask and are left out of "
            "precision and coverage"
        )


if __name__ == "__main__":
    command_line.run(main)
