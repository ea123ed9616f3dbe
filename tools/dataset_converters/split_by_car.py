"""Share a set out by change area ratio (CAR), for the teachers of MTKD.

ROOT holds SPLIT/{A,B,...,label}. CAR is the share of changed pixels of a
label, ignored ones left out. A partition reaches up to its threshold; a ratio
that equals it belongs to the partition below, or with --exclusive to the one
above. This writes list files, one stem a line, that ``ann_file`` of a data set
takes::

    ROOT/lists/SPLIT_s.txt, SPLIT_m.txt, SPLIT_l.txt
    ROOT/lists/car.png      histogram of the CARs

or, with --copy or --link, folders ROOT/SPLIT_s/{A,B,...,label} and so on.
Where a set has no val split, --hold-out N makes one: every N-th sample of
train, in lists/val.txt and lists/train.txt, which are then shared out.
"""
import argparse
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from mmengine.logging import print_log
from prettytable import PrettyTable
from rich.progress import track

from opencd_gold.change_area import (
    change_area_ratios,
    check_thresholds,
    partition_indices,
)
from opencd_gold.datasets.converting import (
    ConversionError,
    Job,
    add_write_options,
    copy_job,
    every_nth,
    exit_on_error,
    list_images,
    match_stems,
    run_jobs,
)
from opencd_gold.datasets.cropping import list_job
from opencd_gold.datasets.reading import (
    find_range,
    label_values,
    ranges_in_words,
    read_label,
)

NAMES = {2: ('s', 'l'), 3: ('s', 'm', 'l'), 4: ('s', 'm', 'l', 'xl')}


class Split(NamedTuple):
    """Samples of one split.

    Attributes:
        name (str): Of the split in the names that are written.
        images (dict[str, dict[str, Path]]): Path by folder and stem.
        stems (list[str]): Its samples, in natural order.
        ratios (ndarray): Their CARs.
    """
    name: str
    images: dict
    stems: list
    ratios: np.ndarray


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('root', type=Path, help='data root')
    parser.add_argument(
        '--thresholds', type=float, nargs='+', default=[0.05, 0.2],
        help='upper bounds of all partitions but the last '
        '(default 0.05 0.2)')
    parser.add_argument(
        '--names', nargs='+',
        help='names of the partitions (default: s l, s m l, s m l xl, or '
        'numbers from 1)')
    parser.add_argument(
        '--exclusive', action='store_true',
        help='a ratio at a threshold belongs to the partition above')
    parser.add_argument(
        '--splits', nargs='+',
        help='splits to share out (default: those of train, val and test '
        'that there are)')
    parser.add_argument(
        '--folders', nargs='+', default=['A', 'B'],
        help='folders of the images (default: A B)')
    parser.add_argument(
        '--label', default='label',
        help='folder of the labels (default: label)')
    parser.add_argument(
        '--ignore-255', action='store_true',
        help='labels are 0, 1 and 255 = ignore')
    parser.add_argument(
        '--label-threshold', type=int,
        help='labels from this value up are change; for grey labels')
    parser.add_argument(
        '--hold-out', type=int, metavar='N',
        help='make val of every N-th sample of train')
    how = parser.add_mutually_exclusive_group()
    how.add_argument(
        '--copy', action='store_true', help='folders of copies, not lists')
    how.add_argument(
        '--link', action='store_true', help='folders of symbolic links')
    parser.add_argument(
        '--lists', default='lists',
        help='folder below ROOT for lists and histogram (default: lists)')
    add_write_options(parser)
    return parser.parse_args()


def partition_names(args: argparse.Namespace) -> list[str]:
    """Names of the partitions.

    Raises:
        ConversionError: If --names are not one for each, or not distinct.
    """
    count = len(check_thresholds(args.thresholds)) + 1
    names = args.names or NAMES.get(count) or [
        str(i + 1) for i in range(count)]
    if len(set(names)) != count:
        raise ConversionError(f'--names {" ".join(names)}: expected {count} '
                              'different ones, one more than thresholds')
    return list(names)


def split_names(args: argparse.Namespace) -> list[str]:
    """Splits that are there.

    Raises:
        ConversionError: If there is none, or val is to be made and is there.
    """
    names = args.splits or [
        name for name in ('train', 'val', 'test')
        if (args.root / name).is_dir()]
    if not names:
        raise ConversionError(
            f'{args.root}: has none of the folders train, val and test')
    if args.hold_out and ('val' in names or 'train' not in names):
        raise ConversionError(
            f'--hold-out {args.hold_out} makes val of train, expected train '
            f'and no val, found {" ".join(names)}')
    return names


def read_split(args: argparse.Namespace, name: str) -> Split:
    """Match the files of a split and measure its labels.

    Raises:
        ConversionError: If files are missing or labels have other values
            than expected.
    """
    folders = [*args.folders, args.label]
    images = {folder: list_images(args.root / name / folder)
              for folder in folders}
    stems = match_stems(images)
    labels, seen = images[args.label], set()
    ratios = []
    for stem in track(stems, f'{name}: labels'):
        label = read_label(str(labels[stem]))
        if args.label_threshold is not None:
            label = (label >= args.label_threshold).astype(np.uint8)
        values = label_values(label)
        seen |= set(values)
        if find_range(seen, args.ignore_255) is None:
            raise ConversionError(
                f'{labels[stem]}: found the values {list(values[:5])} '
                f'({len(values)}), expected '
                f'{ranges_in_words(args.ignore_255)} in the whole set; see '
                '--ignore-255 and --label-threshold')
        if not args.ignore_255:
            label = (label > 0).astype(np.uint8)
        ratios.append(change_area_ratios(torch.from_numpy(label)[None])[0])
    return Split(name, images, stems, np.array(ratios))


def hold_out(split: Split, step: int) -> list[Split]:
    """Train without every n-th sample, and these as val."""
    ratios = dict(zip(split.stems, split.ratios))
    parts = every_nth(split.stems, step, first=step // 2)
    if not all(parts):
        raise ConversionError(f'{len(split.stems)} samples of train are too '
                              f'few for --hold-out {step}')
    return [Split(name, split.images, stems,
                  np.array([ratios[stem] for stem in stems]))
            for name, stems in zip(('train', 'val'), parts)]


def histogram_job(target: Path, splits: list[Split],
                  thresholds: list[float]) -> Job:
    """A job that draws how many samples have which CAR."""

    def write(path: Path) -> None:
        from matplotlib.figure import Figure
        figure = Figure(figsize=(6, 3), layout='constrained')
        axes = figure.subplots()
        axes.hist([split.ratios for split in splits], bins=20, range=(0, 1),
                  label=[split.name for split in splits])
        for threshold in thresholds:
            axes.axvline(threshold, color='black', linewidth=0.8,
                         linestyle='--')
        axes.set(xlabel='change area ratio', ylabel='samples', yscale='log')
        axes.legend()
        figure.savefig(path, dpi=120)

    return Job(target, write, shared=True)


def table(splits: list[Split], members: dict) -> PrettyTable:
    """Count, share and CARs of each partition of each split."""
    rows = PrettyTable([
        'split', 'partition', 'samples', 'share / %', 'CAR min', 'median',
        'max'])
    for split in splits:
        for name, chosen in members[split.name].items():
            ratios = split.ratios[chosen]
            spread = ([f'{value:.4f}' for value in (
                ratios.min(), np.median(ratios), ratios.max())]
                if len(ratios) else ['-'] * 3)
            share = 100 * len(ratios) / len(split.stems)
            rows.add_row([split.name, name, len(ratios), f'{share:.1f}',
                          *spread])
    return rows


def main(args: argparse.Namespace) -> None:
    names = partition_names(args)
    splits = [read_split(args, name) for name in split_names(args)]
    lists = args.root / args.lists
    jobs = []
    if args.hold_out:
        place = [split.name for split in splits].index('train')
        made = hold_out(splits[place], args.hold_out)
        splits[place:place + 1] = made
        jobs += [list_job(lists / f'{split.name}.txt', split.stems)
                 for split in made]
    members = {}
    for split in splits:
        indices = partition_indices(split.ratios, args.thresholds,
                                    inclusive=not args.exclusive)
        members[split.name] = {name: (indices == i).nonzero()[0]
                               for i, name in enumerate(names)}
        for name, chosen in members[split.name].items():
            stems = [split.stems[i] for i in chosen]
            target = f'{split.name}_{name}'
            if not (args.copy or args.link):
                jobs.append(list_job(lists / f'{target}.txt', stems))
                continue
            jobs += [copy_job(paths[stem],
                              args.root / target / folder / paths[stem].name,
                              args.link)
                     for folder, paths in split.images.items()
                     for stem in stems]
    jobs.append(histogram_job(lists / 'car.png', splits, args.thresholds))
    run_jobs(jobs, args.force, args.dry_run, 'partitions')
    print_log(f'\n{table(splits, members)}')


if __name__ == '__main__':
    exit_on_error(main, parse_args())
