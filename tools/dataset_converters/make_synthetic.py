"""Write a data set of synthetic optical/SAR/optical triplets.

The folders are those that ChangeDataset reads::

    OUT_DIR/{train,val,test}/A      optical, first date, RGB
    OUT_DIR/{train,val,test}/B      SAR, second date
    OUT_DIR/{train,val,test}/C      optical, second date, RGB
    OUT_DIR/{train,val,test}/label  255 changed, 0 not

The same options write the same files.
"""
import argparse
from pathlib import Path

from opencd_gold.datasets.converting import add_write_options, exit_on_error
from opencd_gold.datasets.synthetic import CHANGES, SAR_DTYPES, write_triplets


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('out_dir', type=Path, help='data root to write')
    for split, count in (('train', 64), ('val', 16), ('test', 16)):
        parser.add_argument(
            f'--{split}', type=int, default=count,
            help=f'number of {split} tiles (default {count})')
    parser.add_argument(
        '--size', type=int, default=256,
        help='height and width in pixels (default 256)')
    parser.add_argument(
        '--seed', type=int, default=0, help='seed of the set (default 0)')
    parser.add_argument(
        '--looks', type=float, default=4,
        help='looks of the SAR image; more is less speckle (default 4)')
    parser.add_argument(
        '--sar-bands', type=int, choices=(1, 2), default=1,
        help='VV, or VV and VH; two are written as TIFF (default 1)')
    parser.add_argument(
        '--sar-dtype', choices=SAR_DTYPES, default='uint8',
        help='stretched decibel, or linear intensity as TIFF '
        '(default uint8)')
    parser.add_argument(
        '--change', choices=CHANGES, default='auto',
        help='what changes (default auto: drawn for each tile)')
    add_write_options(parser)
    return parser.parse_args()


def main(args: argparse.Namespace) -> None:
    write_triplets(
        args.out_dir,
        {'train': args.train, 'val': args.val, 'test': args.test},
        size=args.size, seed=args.seed, looks=args.looks,
        sar_bands=args.sar_bands, change=args.change,
        sar_dtype=args.sar_dtype, force=args.force, dry_run=args.dry_run)


if __name__ == '__main__':
    exit_on_error(main, parse_args())
