"""Convert the public OMBRIA repository into triplets with labels.

OMBRIA (Drakonakis et al., IEEE JSTARS 2022,
https://doi.org/10.1109/JSTARS.2022.3155559) holds Sentinel-1 and Sentinel-2
tiles before and after floods. Clone https://github.com/geodrak/OMBRIA and
give its folder as SRC::

    SRC/OmbriaS1/{train,test}/{BEFORE,AFTER,MASK}/S1_{before,after,mask}_*.png
    SRC/OmbriaS2/{train,test}/{BEFORE,AFTER,MASK}/S2_{before,after,mask}_*.png

This writes::

    DST/{train,val,test}/A      Sentinel-2 before (B3, B8, B11)
    DST/{train,val,test}/B      Sentinel-1 after (VV, one band)
    DST/{train,val,test}/C      Sentinel-2 after
    DST/{train,val,test}/label  255 flooded, 0 not

with one name NNNN.png for a tile. The test tiles are the original ones; val
is every tenth tile (positions 5, 15, ... in sorted order) of the original
train set. Images are copied as they are.
"""
import argparse
from pathlib import Path

from opencd_gold.datasets.converting import (
    Job,
    add_write_options,
    binary_label_job,
    copy_job,
    every_nth,
    exit_on_error,
    list_images,
    match_stems,
    run_jobs,
)

SOURCES = {
    'A': ('OmbriaS2', 'BEFORE', 'S2_before_'),
    'B': ('OmbriaS1', 'AFTER', 'S1_after_'),
    'C': ('OmbriaS2', 'AFTER', 'S2_after_'),
    'label': ('OmbriaS1', 'MASK', 'S1_mask_'),
}


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('src', type=Path, help='folder of the repository')
    parser.add_argument('dst', type=Path, help='data root to write')
    how = parser.add_mutually_exclusive_group()
    how.add_argument(
        '--copy', action='store_true', help='copy the files (default)')
    how.add_argument(
        '--link', action='store_true',
        help='make symbolic links instead of copies')
    add_write_options(parser)
    return parser.parse_args()


def plan(src: Path, dst: Path, link: bool) -> list[Job]:
    """Jobs that write the three splits."""
    jobs = []
    for origin in ('train', 'test'):
        images = {
            folder: list_images(src / sensor / origin / date, prefix)
            for folder, (sensor, date, prefix) in SOURCES.items()}
        stems = match_stems(images)
        if origin == 'train':
            train, val = every_nth(stems)
            splits = {'train': train, 'val': val}
        else:
            splits = {'test': stems}
        for split, names in splits.items():
            for folder, paths in images.items():
                make = binary_label_job if folder == 'label' else copy_job
                for stem in names:
                    name = stem + paths[stem].suffix
                    jobs.append(make(
                        paths[stem], dst / split / folder / name, link))
    return jobs


def main(args: argparse.Namespace) -> None:
    jobs = plan(args.src, args.dst, args.link)
    run_jobs(jobs, args.force, args.dry_run, 'OMBRIA')


if __name__ == '__main__':
    exit_on_error(main, parse_args())
