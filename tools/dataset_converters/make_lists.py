"""Write the list file of every split: one file name a line.

    ROOT/{train,val,test}/list/{train,val,test}.txt

with the names of the label folder, in natural order. The folders of a split
must hold the same stems. What a data set reads with
``ann_file='train/list/train.txt'``.
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
    existing_splits,
    gather,
    list_job,
)


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('root', type=Path, help='data root')
    parser.add_argument(
        '--splits', nargs='+', default=['train', 'val', 'test'],
        help='splits, where they exist (default: train val test)')
    parser.add_argument(
        '--folders', nargs='+', default=['A', 'B', 'label'],
        help='folders of a split, the label last (default: A B label)')
    add_write_options(parser)
    return parser.parse_args()


def plan(args: argparse.Namespace) -> list[Job]:
    """Jobs that write the lists.

    Raises:
        ConversionError: If there is no split.
    """
    splits = existing_splits(args.root, args.splits)
    if splits == ['']:
        raise ConversionError(f'{args.root}: holds none of the splits '
                              f'{", ".join(args.splits)}')
    jobs = []
    for split in splits:
        samples = gather(args.root / split, args.folders)
        names = [paths[args.folders[-1]].name for paths in samples.values()]
        jobs.append(list_job(
            args.root / split / 'list' / f'{split}.txt', names))
    return jobs


def main(args: argparse.Namespace) -> None:
    run_jobs(plan(args), args.force, args.dry_run, 'lists')


if __name__ == '__main__':
    exit_on_error(main, parse_args())
