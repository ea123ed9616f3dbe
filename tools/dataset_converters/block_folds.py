"""Make data sets that leave out one contiguous block of tiles each.

Where the numbers of the tiles follow the ground, neighbours in number are
neighbours on the ground, and a random split tests on places seen in
training. Here the sorted tiles of train and val are cut into k contiguous
blocks. Fold i has

- test: block i,
- val: every tenth tile (positions 5, 15, ...) of the other blocks,
- train: the rest of the other blocks.

Each fold is a data root of its own that a config of the set can point to::

    OUT/fold0/{train,val,test}/{A,B,C,label}
    OUT/fold1/...
"""
import argparse
from pathlib import Path

import numpy as np

from opencd_gold.datasets.converting import (
    TRIPLET_FOLDERS,
    ConversionError,
    Job,
    add_write_options,
    copy_job,
    every_nth,
    exit_on_error,
    list_images,
    match_stems,
    natural_key,
    run_jobs,
)


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('root', type=Path, help='data root to read')
    parser.add_argument(
        '--out', type=Path, required=True, help='folder to write folds to')
    parser.add_argument(
        '--folds', type=int, default=5, help='number of blocks (default 5)')
    parser.add_argument(
        '--splits', nargs='+', default=['train', 'val'],
        help='splits whose tiles are used (default: train val)')
    parser.add_argument(
        '--folders', nargs='+', default=list(TRIPLET_FOLDERS),
        help='folders of a split (default: A B C label)')
    parser.add_argument(
        '--copy', action='store_true',
        help='copy files instead of linking to them')
    add_write_options(parser)
    return parser.parse_args()


def gather(root: Path, splits: list[str],
           folders: list[str]) -> dict[str, dict[str, Path]]:
    """Paths of every tile, ``{stem: {folder: path}}``, in natural order."""
    tiles: dict[str, dict[str, Path]] = {}
    for split in splits:
        images = {f'{split}/{folder}': list_images(root / split / folder)
                  for folder in folders}
        for stem in match_stems(images):
            if stem in tiles:
                raise ConversionError(
                    f'{root}: tile {stem} is in more than one of the splits '
                    f'{", ".join(splits)}')
            tiles[stem] = {folder: images[f'{split}/{folder}'][stem]
                           for folder in folders}
    return {stem: tiles[stem] for stem in sorted(tiles, key=natural_key)}


def plan_folds(tiles: dict[str, dict[str, Path]], out: Path, folds: int,
               link: bool) -> list[Job]:
    """Jobs that write every fold.

    Raises:
        ConversionError: If there are fewer than two folds or too few tiles
            for every split of every fold to hold one.
    """
    if folds < 2:
        raise ConversionError(f'--folds {folds}: expected at least 2')
    stems = list(tiles)
    blocks = [list(block) for block in np.array_split(stems, folds)]
    jobs = []
    for i, block in enumerate(blocks):
        others = [stem for j, other in enumerate(blocks) if j != i
                  for stem in other]
        train, val = every_nth(others)
        members = {'train': train, 'val': val, 'test': block}
        if not all(members.values()):
            raise ConversionError(
                f'{len(stems)} tiles are too few for {folds} folds')
        for split, names in members.items():
            for stem in names:
                for folder, source in tiles[stem].items():
                    target = out / f'fold{i}' / split / folder / source.name
                    jobs.append(copy_job(source, target, link))
    return jobs


def main(args: argparse.Namespace) -> None:
    tiles = gather(args.root, args.splits, args.folders)
    jobs = plan_folds(tiles, args.out, args.folds, not args.copy)
    run_jobs(jobs, args.force, args.dry_run, f'{args.folds} folds')


if __name__ == '__main__':
    exit_on_error(main, parse_args())
