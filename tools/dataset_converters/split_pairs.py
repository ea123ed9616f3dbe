"""Share the samples of a set out to train, val and test.

SRC holds folders of images and labels::

    SRC/{A,B,label}

and DST gets ``DST/{train,val,test}/{A,B,label}``. The order is shuffled by a
seed; rounding leaves the rest to the last split. Names of patches as
crop_pairs.py gives them, ``<image>_<y0>_<y1>_<x0>_<x1>``, tell where a patch
lies. With

--by-scene    patches of one image stay together, so that nothing is tested
              next to where it was trained. For sets of several images.
--by-band     each image is cut to bands of rows, the first split at its top,
              the last at its bottom. Patches that reach into another band
              are left out. For a set of one large image.

Without them, patches that overlap must not come to different splits: train
and test would share pixels. A set with a train split but no val, and one
large scene::

    split_pairs.py LEVIR-CD+/train OUT --names train val --shares 9 1
    split_pairs.py WHU-CD-patches OUT --by-band
"""
import argparse
from pathlib import Path

from mmengine.logging import print_log

from opencd_gold.datasets.converting import (
    ConversionError,
    Job,
    add_write_options,
    copy_job,
    exit_on_error,
    run_jobs,
)
from opencd_gold.datasets.cropping import (
    check_not_empty,
    find_overlaps,
    gather,
    read_name,
    share_out,
    share_out_bands,
    shares_to_counts,
)


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('src', type=Path, help='folder of the folders')
    parser.add_argument('dst', type=Path, help='data root to write')
    parser.add_argument(
        '--names', nargs='+', default=['train', 'val', 'test'],
        help='splits to write (default: train val test)')
    how = parser.add_mutually_exclusive_group()
    how.add_argument(
        '--shares', nargs='+', type=float, default=[7, 2, 1],
        help='share of each split (default: 7 2 1)')
    how.add_argument(
        '--counts', nargs='+', type=int,
        help='samples of each split, e.g. 540 152 1828; images, with '
        '--by-scene')
    parser.add_argument(
        '--seed', type=int, default=42, help='of the shuffle (default 42)')
    parser.add_argument(
        '--in-order', action='store_true', help='do not shuffle')
    together = parser.add_mutually_exclusive_group()
    together.add_argument(
        '--by-scene', action='store_true',
        help='share out whole images, not their patches')
    together.add_argument(
        '--by-band', action='store_true',
        help='share out bands of each image, in order from its top, and '
        'leave out patches between them')
    together.add_argument(
        '--allow-overlap', action='store_true',
        help='let patches of different splits overlap')
    parser.add_argument(
        '--folders', nargs='+', default=['A', 'B', 'label'],
        help='folders of images and label (default: A B label)')
    parser.add_argument(
        '--link', action='store_true',
        help='make symbolic links instead of copies')
    add_write_options(parser)
    return parser.parse_args()


def split_by_groups(stems: list[str],
                    args: argparse.Namespace) -> list[list[str]]:
    """Share out samples, or images with all of their patches.

    Raises:
        ConversionError: If a split of a positive share would be empty, or if
            there are fewer samples than counts.
    """
    groups: dict[str, list[str]] = {}
    for stem in stems:
        name = read_name(stem)[0] if args.by_scene else stem
        groups.setdefault(name, []).append(stem)
    counts = args.counts
    if not counts:
        counts = shares_to_counts(len(groups), args.shares)
        unit, advice = 'sample', 'give --counts, or cut to more patches'
        if args.by_scene:
            unit, advice = 'image', (
                'give --counts of images, cut each image with --by-band, or '
                'leave out --by-scene to share out patches one by one')
        check_not_empty(args.names, args.shares, counts,
                        f'{len(groups)} {unit}{"s" * (len(groups) != 1)}',
                        advice)
    parts = share_out(list(groups.values()), counts,
                      None if args.in_order else args.seed)
    return [[stem for group in part for stem in group] for part in parts]


def split_by_band(stems: list[str],
                  args: argparse.Namespace) -> list[list[str]]:
    """Share out bands of each image.

    Raises:
        ConversionError: With --counts, if names tell no place, or if a split
            of a positive share would be empty.
    """
    if args.counts:
        raise ConversionError('--by-band cuts by --shares, found --counts')
    parts = share_out_bands(stems, args.shares)
    rows = {(image, window.top) for image, window in map(read_name, stems)}
    check_not_empty(args.names, args.shares, list(map(len, parts)),
                    f'{len(rows)} rows of patches',
                    'cut to smaller patches or with --edge drop, or choose '
                    'other shares')
    return parts


def plan(args: argparse.Namespace) -> list[Job]:
    """Jobs that write all splits.

    Raises:
        ConversionError: If shares or counts do not fit the names, or if
            patches of two splits overlap.
    """
    given = args.counts if args.counts else args.shares
    if len(given) != len(args.names) or len(set(args.names)) < len(given):
        raise ConversionError(
            f'{len(given)} shares or counts {given} for the splits '
            f'{args.names}: expected one each')
    samples = gather(args.src, args.folders)
    split = split_by_band if args.by_band else split_by_groups
    parts = dict(zip(args.names, split(list(samples), args)))
    overlaps = [] if args.allow_overlap else find_overlaps(parts)
    if overlaps:
        raise ConversionError(
            f'{len(overlaps)} patches share pixels with one of another '
            f'split, first: {overlaps[0][0]} with {overlaps[0][1]}; '
            '--by-scene keeps the patches of an image together, --by-band '
            'cuts each image, --allow-overlap lets them')
    left_out = len(samples) - sum(map(len, parts.values()))
    print_log(', '.join(f'{len(stems)} {name}'
                        for name, stems in parts.items())
              + f', {left_out} left out')
    return [copy_job(path, args.dst / name / folder / path.name, args.link)
            for name, stems in parts.items() for stem in stems
            for folder, path in samples[stem].items()]


def main(args: argparse.Namespace) -> None:
    run_jobs(plan(args), args.force, args.dry_run, 'splits')


if __name__ == '__main__':
    exit_on_error(main, parse_args())
