"""Share the samples of a set out to train, val and test.

SRC holds folders of images and labels::

    SRC/{A,B,label}

and DST gets ``DST/{train,val,test}/{A,B,label}``. The order is shuffled by a
seed; rounding leaves the rest to the last split. With ``--by-scene`` patches
of crop_pairs.py that come from one image stay together, so that nothing is
tested next to where it was trained. A set with a train split but no val::

    split_pairs.py LEVIR-CD+/train OUT --names train val --shares 9 1
"""
import argparse
import re
from pathlib import Path

from opencd_gold.datasets.converting import (
    ConversionError,
    Job,
    add_write_options,
    copy_job,
    exit_on_error,
    run_jobs,
)
from opencd_gold.datasets.cropping import (
    gather,
    share_out,
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
        help='samples of each split, e.g. 540 152 1828')
    parser.add_argument(
        '--seed', type=int, default=42, help='of the shuffle (default 42)')
    parser.add_argument(
        '--in-order', action='store_true', help='do not shuffle')
    parser.add_argument(
        '--by-scene', action='store_true',
        help='share out whole images, not their patches')
    parser.add_argument(
        '--folders', nargs='+', default=['A', 'B', 'label'],
        help='folders of images and label (default: A B label)')
    parser.add_argument(
        '--link', action='store_true',
        help='make symbolic links instead of copies')
    add_write_options(parser)
    return parser.parse_args()


def scenes(stems: list[str], by_scene: bool) -> list[list[str]]:
    """Stems that stay together."""
    groups: dict[str, list[str]] = {}
    for stem in stems:
        name = re.sub(r'(_\d+){4}$', '', stem) if by_scene else stem
        groups.setdefault(name, []).append(stem)
    return list(groups.values())


def plan(args: argparse.Namespace) -> list[Job]:
    """Jobs that write all splits.

    Raises:
        ConversionError: If shares or counts do not fit the names.
    """
    given = args.counts if args.counts else args.shares
    if len(given) != len(args.names):
        raise ConversionError(
            f'{len(given)} shares or counts {given} for the splits '
            f'{args.names}: expected one each')
    samples = gather(args.src, args.folders)
    groups = scenes(list(samples), args.by_scene)
    counts = args.counts or shares_to_counts(len(groups), args.shares)
    parts = share_out(groups, counts, None if args.in_order else args.seed)
    jobs = []
    for name, part in zip(args.names, parts):
        for stem in (stem for group in part for stem in group):
            jobs += [copy_job(path, args.dst / name / folder / path.name,
                              args.link)
                     for folder, path in samples[stem].items()]
    return jobs


def main(args: argparse.Namespace) -> None:
    run_jobs(plan(args), args.force, args.dry_run, 'splits')


if __name__ == '__main__':
    exit_on_error(main, parse_args())
