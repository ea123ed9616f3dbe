"""Cut the images of a set to square patches, all folders alike.

SRC holds the folders of the images and the label, or splits that hold them::

    SRC/{train,val,test}/{A,B,label}    or    SRC/{A,B,label}

and DST gets the same folders with patches ``<stem>_<y0>_<y1>_<x0>_<x1>``:
GeoTIFF where the source is one, with the position and coordinate system of
the part, PNG otherwise; palettes are kept. Large scenes are read window by
window. A set without splits is shared out afterwards, by split_pairs.py.
Examples::

    crop_pairs.py LEVIR-CD LEVIR-CD-256 --size 256
    crop_pairs.py S2Looking S2L-256 --size 256 --folders Image1 Image2 label
    crop_pairs.py NJDS NJDS-patches --size 256 --folders t1 t2 label
"""
import argparse
from pathlib import Path

from opencd_gold.datasets.converting import (
    ConversionError,
    Job,
    add_write_options,
    exit_on_error,
    run_jobs,
)
from opencd_gold.datasets.cropping import (
    EDGES,
    crop_jobs,
    existing_splits,
    gather,
)


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('src', type=Path, help='data root to read')
    parser.add_argument('dst', type=Path, help='data root to write')
    parser.add_argument(
        '--size', type=int, required=True, help='side of a patch, pixels')
    parser.add_argument(
        '--overlap', type=int, default=0,
        help='pixels that neighbours share (default 0)')
    parser.add_argument(
        '--overlap-splits', nargs='*', default=['train'],
        help='splits whose patches overlap, the others do not '
        '(default: train); a set without splits overlaps')
    parser.add_argument(
        '--edge', choices=EDGES, default='align',
        help='rest at the right and at the bottom: a patch that ends there '
        '(default), or none')
    parser.add_argument(
        '--splits', nargs='+', default=['train', 'val', 'test'],
        help='splits to cut, where they exist (default: train val test)')
    parser.add_argument(
        '--folders', nargs='+', default=['A', 'B', 'label'],
        help='folders of a split (default: A B label)')
    add_write_options(parser)
    return parser.parse_args()


def plan(args: argparse.Namespace) -> list[Job]:
    """Jobs that write all patches.

    Raises:
        ConversionError: If images are smaller than a patch, or if no split
            is left to overlap.
    """
    splits = existing_splits(args.src, args.splits, args.folders)
    if args.overlap and args.overlap_splits and not (
            {'', *args.overlap_splits} & set(splits)):
        raise ConversionError(
            f'--overlap {args.overlap} is for the splits '
            f'{", ".join(args.overlap_splits)}, found {", ".join(splits)}; '
            'see --overlap-splits')
    jobs = []
    for split in splits:
        overlap = args.overlap if (
            not split or split in args.overlap_splits) else 0
        targets = {folder: args.dst / split / folder
                   for folder in args.folders}
        for stem, sources in gather(args.src / split, args.folders).items():
            made = crop_jobs(sources, targets, stem, args.size, overlap,
                             args.edge)
            if not made:
                raise ConversionError(
                    f'{next(iter(sources.values()))}: smaller than a patch '
                    f'of {args.size} pixels')
            jobs += made
    return jobs


def main(args: argparse.Namespace) -> None:
    run_jobs(plan(args), args.force, args.dry_run, 'patches')


if __name__ == '__main__':
    exit_on_error(main, parse_args())
