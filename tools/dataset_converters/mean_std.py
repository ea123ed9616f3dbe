"""Mean and standard deviation of each date of a training set.

ROOT holds the folders of the dates, e.g. ``data/LEVIR-CD-256/train``. Prints
the lines of a config's ``data_preprocessor``, in the unit of the files and in
the order of their bands (RGB)::

    mean=[[...], [...]],
    std=[[...], [...]],

The mean is the average of the images' means. The deviation is the average of
the deviations of the single images, as SGSLN has it, which is smaller than
that of all pixels; ``--pooled`` gives the latter. Pixels without data do not
count.
"""
import argparse
from pathlib import Path

import numpy as np
from mmengine.logging import print_log
from rich.progress import track

from opencd_gold.datasets.converting import (
    ConversionError,
    add_write_options,
    exit_on_error,
    list_images,
)
from opencd_gold.datasets.reading import DatasetError, read_image


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('root', type=Path, help='training folder')
    parser.add_argument(
        '--folders', nargs='+', default=['A', 'B'],
        help='folders of the dates (default: A B)')
    parser.add_argument(
        '--pooled', action='store_true',
        help='deviation of all pixels instead of the average of the images')
    parser.add_argument(
        '--out', type=Path, help='file to write the lines to as well')
    add_write_options(parser)
    return parser.parse_args()


def moments(path: Path) -> np.ndarray:
    """Mean and mean square of each band, ``(2, C)``, and of how many pixels.

    Raises:
        ConversionError: If the file cannot be read or holds no data.
    """
    try:
        image, missing = read_image(str(path), color_order='rgb')
    except DatasetError as error:
        raise ConversionError(str(error)) from None
    pixels = image.reshape(-1, image.shape[2]).astype(np.float64)
    if missing is not None:
        pixels = pixels[~missing.ravel()]
    if not len(pixels):
        raise ConversionError(f'{path}: holds no data')
    return np.stack([pixels.mean(0), (pixels**2).mean(0),
                     np.full(pixels.shape[1], float(len(pixels)))])


def statistics(paths: list[Path], pooled: bool,
               description: str) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of each band of a date.

    Raises:
        ConversionError: If the images differ in their number of bands.
    """
    found = [moments(path) for path in track(paths, description)]
    odd = [path for path, one in zip(paths, found)
           if one.shape != found[0].shape]
    if odd:
        raise ConversionError(f'{odd[0]}: has another number of bands than '
                              f'{paths[0]}')
    mean, square, count = np.stack(found, axis=1)
    if not pooled:
        variance = (square - mean**2).clip(min=0)
        return mean.mean(0), np.sqrt(variance).mean(0)
    weight = count / count.sum(0)
    average = (mean * weight).sum(0)
    variance = (square * weight).sum(0) - average**2
    return average, np.sqrt(variance.clip(min=0))


def lines(values: list[tuple]) -> str:
    """The two lines of a config."""
    return ''.join(
        f'{name}={[np.round(date, 3).tolist() for date in dates]},\n'
        for name, dates in zip(('mean', 'std'), zip(*values)))


def main(args: argparse.Namespace) -> None:
    images = {folder: list(list_images(args.root / folder).values())
              for folder in args.folders}
    if args.out and args.out.is_dir():
        raise ConversionError(f'{args.out}: is a folder, expected a file')
    if args.out and args.out.exists() and not args.force:
        raise ConversionError(f'{args.out}: exists; --force replaces it')
    if args.dry_run:
        for folder, paths in images.items():
            print_log(f'{folder}: would read {len(paths)} images')
        return
    text = lines([statistics(paths, args.pooled, folder)
                  for folder, paths in images.items()])
    print_log(f'for the data_preprocessor:\n{text}')
    if args.out:
        args.out.parent.mkdir(parents=True, exist_ok=True)
        args.out.write_text(text)


if __name__ == '__main__':
    exit_on_error(main, parse_args())
