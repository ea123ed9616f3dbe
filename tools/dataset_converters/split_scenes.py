"""Split a set of scenes and cut them to patches: MCD, GVLM.

SRC holds a folder a scene with two images and a label::

    SRC/<scene>/{im1.jpg,im2.jpg,ref.png}

Whole scenes, not patches, are shuffled by a seed and shared out; then each is
cut without overlap from its top left corner, and rests at the right and at
the bottom are left out, as are scenes that are not larger than a patch. This
writes::

    DST/{train,val,test}/{A,B,label}/<scene>_<y0>_<y1>_<x0>_<x1>.png
    DST/{train,val,test}/list/{train,val,test}.txt

Label values are copied as they are. Where some scenes of a date are grey and
others have three bands, the grey ones get three equal bands. The split of
MCD's authors follows the order in which a file system lists folders, so no
seed repeats it.
"""
import argparse
from pathlib import Path

from mmengine.logging import print_log

from opencd_gold.datasets.converting import (
    ConversionError,
    Job,
    add_write_options,
    exit_on_error,
    natural_key,
    run_jobs,
)
from opencd_gold.datasets.cropping import (
    check_not_empty,
    common_size,
    crop_jobs,
    list_job,
    share_out,
    shares_to_counts,
)
from opencd_gold.datasets.reading import read_header

SPLITS = ('train', 'val', 'test')
FOLDERS = ('A', 'B', 'label')


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('src', type=Path, help='folder of the scenes')
    parser.add_argument('dst', type=Path, help='data root to write')
    parser.add_argument(
        '--size', type=int, default=512,
        help='side of a patch, pixels (default 512)')
    parser.add_argument(
        '--shares', nargs=3, type=float, default=[60, 30, 10],
        metavar=('TRAIN', 'VAL', 'TEST'),
        help='share of each split (default: 60 30 10)')
    parser.add_argument(
        '--seed', type=int, default=42, help='of the shuffle (default 42)')
    parser.add_argument(
        '--names', nargs=3, default=['im1.jpg', 'im2.jpg', 'ref.png'],
        metavar=('FROM', 'TO', 'LABEL'),
        help='files of a scene (default: im1.jpg im2.jpg ref.png)')
    add_write_options(parser)
    return parser.parse_args()


def find_scenes(src: Path, names: list[str], size: int) -> list[Path]:
    """Folders of the scenes that are large enough, in natural order.

    Raises:
        ConversionError: If there is none.
    """
    if not src.is_dir():
        raise ConversionError(f'{src}: no such folder')
    found = sorted(
        (folder for folder in src.iterdir()
         if all((folder / name).is_file() for name in names)),
        key=lambda folder: natural_key(folder.name))
    large = [folder for folder in found
             if min(common_size([folder / name for name in names])) > size]
    if not large:
        raise ConversionError(
            f'{src}: expected folders with {", ".join(names)}, larger than '
            f'{size} pixels; found {len(found)} of any size')
    print_log(f'{len(large)} scenes, {len(found) - len(large)} more are not '
              f'larger than {size} pixels')
    return large


def mixed_dates(scenes: list[Path], names: list[str]) -> list[str]:
    """Folders of the dates that are grey in some scenes, colour in others."""
    mixed = []
    for folder, name in zip(FOLDERS[:2], names):
        bands = [read_header(str(scene / name)).bands for scene in scenes]
        if set(bands) == {1, 3}:
            mixed.append(folder)
            print_log(f'{name}: {bands.count(1)} of {len(bands)} are grey '
                      'and get three equal bands')
    return mixed


def plan(args: argparse.Namespace) -> list[Job]:
    """Jobs that write patches and lists.

    Raises:
        ConversionError: If a split of a positive share would be empty.
    """
    found = find_scenes(args.src, args.names, args.size)
    counts = shares_to_counts(len(found), args.shares)
    check_not_empty(SPLITS, args.shares, counts, f'{len(found)} scenes',
                    'choose other --shares')
    parts = share_out(found, counts, args.seed)
    colour = mixed_dates(found, args.names)
    jobs = []
    for split, scenes in zip(SPLITS, parts):
        targets = {folder: args.dst / split / folder for folder in FOLDERS}
        made = []
        for scene in scenes:
            sources = {folder: scene / name
                       for folder, name in zip(FOLDERS, args.names)}
            made += crop_jobs(sources, targets, scene.name, args.size,
                              edge='drop', colour=colour)
        names = [job.target.name for job in made
                 if job.target.parent == targets['label']]
        jobs += [*made,
                 list_job(args.dst / split / 'list' / f'{split}.txt', names)]
    return jobs


def main(args: argparse.Namespace) -> None:
    run_jobs(plan(args), args.force, args.dry_run, 'scenes')


if __name__ == '__main__':
    exit_on_error(main, parse_args())
