"""Change maps of pictures and of scenes of any size.

    python tools/predict.py A.tif B.tif --model student.pth --out maps
    python tools/predict.py A B --model CONFIG --weights W --out maps
    torchrun --nproc_per_node 4 tools/predict.py A.tif B.tif --model M ...

GeoTIFFs give NAME_probability.tif and NAME_mask.tif (cloud-optimized, CRS and
grid of A), pictures NAME_probability.png and NAME_mask.png, both
NAME_overlay.png and NAME_statistics.json. A run that was killed goes on when
the same command is given again.
"""
import argparse
import json
import os
from contextlib import contextmanager
from pathlib import Path

import torch
from mmengine.logging import print_log
from rich.progress import Progress

from opencd_gold.apis import ChangeInferencer
from opencd_gold.compat import process_of
from opencd_gold.datasets.converting import list_images, match_stems
from opencd_gold.datasets.reading import is_raster
from opencd_gold.engine import cli
from opencd_gold.scenes.grid import NONFINITE, RESAMPLINGS, Layer
from opencd_gold.scenes.parts import write_atomically
from opencd_gold.scenes.quicklook import write_overlay

RASTER_ONLY = ('bands_from', 'bands_to', 'range_from', 'range_to',
               'resampling', 'nonfinite', 'assume_same_grid', 'vectors',
               'min_area', 'simplify')


def parse_args():
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('img_from', metavar='A',
                        help='first date: a file, or a folder')
    parser.add_argument('img_to', metavar='B',
                        help='second date: a file, or a folder with the same '
                        'names')
    parser.add_argument('--out', required=True, help='folder of the maps')
    parser.add_argument(
        '--model', required=True, nargs='+',
        help='config (.py, or its name), checkpoint that brings its config '
        '(.pth), or exported model (.onnx, .pt2); several are an ensemble')
    parser.add_argument(
        '--weights', nargs='+',
        help='checkpoint of a config; several are an ensemble')
    parser.add_argument(
        '--device', help='default: cuda where there is one, else cpu')
    parser.add_argument('--batch-size', type=int, default=4,
                        help='tiles, or pictures, a batch (default: 4)')
    parser.add_argument(
        '--flips', nargs='*', choices=('horizontal', 'vertical', 'diagonal'),
        help='average with flips (default: what the config says)')
    parser.add_argument('--threshold', type=float,
                        help='probability above which a pixel is changed '
                        '(default: of the model)')
    parser.add_argument('--tile-size', type=int,
                        help='in pixels (default: of the model)')
    parser.add_argument('--overlap', type=int,
                        help='of tiles, in pixels (default: a quarter)')
    parser.add_argument('--no-fuse', action='store_true',
                        help='do not fuse layers of the network')

    files = parser.add_argument_group('GeoTIFF')
    cli.add_band_arguments(files)
    files.add_argument(
        '--resampling', choices=RESAMPLINGS, default='bilinear',
        help='of B onto the grid of A (default: bilinear)')
    files.add_argument(
        '--nonfinite', choices=NONFINITE, default='error',
        help='what NaN and infinite values are that a file does not declare '
        'as nodata (default: error)')
    files.add_argument(
        '--assume-same-grid', action='store_true',
        help='take files without CRS pixel by pixel')
    files.add_argument('--vectors', choices=('gpkg', 'geojson'),
                       help='write polygons as well')
    files.add_argument(
        '--min-area', type=float, default=0,
        help='of a polygon, in square meters (default: 0)')
    files.add_argument(
        '--simplify', type=float, default=0, metavar='PIXELS',
        help='how far vertices of polygons may move (default: 0)')

    parser.add_argument('--overwrite', action='store_true',
                        help='make maps anew that are there')
    parser.add_argument(
        '--restart', action='store_true',
        help='begin scenes anew instead of going on with a killed run')
    parser.add_argument('--quiet', action='store_true', help='no progress')
    parser.add_argument(
        '--launcher', choices=('none', 'pytorch', 'slurm', 'mpi'),
        default='pytorch' if 'TORCHELASTIC_RUN_ID' in os.environ else 'none',
        help='of several processes (default: pytorch under torchrun)')
    args = parser.parse_args()
    args.raster_options = [
        f'--{name.replace("_", "-")}' for name in RASTER_ONLY
        if getattr(args, name) != parser.get_default(name)
    ]
    return args


def find_pairs(first, second):
    """Pairs of paths, by the stem of the first."""
    first, second = Path(first), Path(second)
    if first.is_dir() != second.is_dir():
        raise cli.UsageError(f'{first} and {second}: expected two files or '
                             'two folders')
    if not first.is_dir():
        for path in (first, second):
            if not path.exists():
                raise cli.UsageError(f'no image at {path}')
        return {first.stem: (first, second)}
    images = {str(folder): list_images(folder) for folder in (first, second)}
    return {stem: tuple(images[folder][stem] for folder in images)
            for stem in match_stems(images)}


def build(args, local_rank):
    device = args.device
    if device is None and torch.cuda.is_available():
        device = f'cuda:{local_rank}'
    several = len(args.model) > 1 or (args.weights or [])[1:]
    model = args.model if len(args.model) > 1 else args.model[0]
    weights = args.weights
    if weights and not several:
        weights = weights[0]
    return ChangeInferencer(
        model,
        weights,
        device=device,
        batch_size=args.batch_size,
        flips=args.flips,
        threshold=args.threshold,
        tile_size=args.tile_size,
        overlap=args.overlap,
        fuse=not args.no_fuse)


def pair_options(args):
    return dict(
        bands=(args.bands_from, args.bands_to),
        limits=(args.range_from, args.range_to),
        resampling=args.resampling,
        nonfinite=args.nonfinite,
        assume_same_grid=args.assume_same_grid)


@contextmanager
def progress_bar(text, quiet):
    """Function of the work done since, and of all."""
    with Progress(disable=quiet) as bar:
        task = bar.add_task(text, total=None)
        yield lambda done, total: bar.update(task, advance=done, total=total)


def predict_pictures(inferencer, pairs, args, show):
    """Pictures, a batch at a time."""
    out = Path(args.out)
    if not args.overwrite:
        for name in pairs:
            path = out / f'{name}_mask.png'
            if path.exists():
                raise cli.UsageError(f'{path} exists; --overwrite makes it '
                                     'anew')
    names = list(pairs)
    with progress_bar('pictures', not show) as update:
        for first in range(0, len(names), args.batch_size):
            batch = names[first:first + args.batch_size]
            results = inferencer(*(
                [pairs[name][date] for name in batch] for date in (0, 1)))
            for name, result in zip(batch, results):
                result.save(out, name)
                save_statistics(out, name, result.statistics)
            update(len(batch), len(names))


def predict_scene(inferencer, name, pair, args, show, rank, world_size):
    """One scene, or this process's share of it."""
    out = Path(args.out)
    with progress_bar(name, not show) as update:
        result = inferencer.predict_scene(
            *pair,
            out,
            name=name,
            overwrite=args.overwrite,
            restart=args.restart,
            rank=rank,
            world_size=world_size,
            progress=update,
            **pair_options(args))
    if result.statistics is None or rank:
        return
    statistics = result.statistics
    write_overlay(Layer(str(pair[0]), args.bands_from), result.mask,
                  out / f'{name}_overlay.png')
    if args.vectors:
        from opencd_gold.scenes.vectors import write_polygons
        target = out / f'{name}_polygons.{args.vectors}'
        statistics['polygons'] = write_polygons(
            result.probability, result.mask, target, args.min_area,
            args.simplify)
    save_statistics(out, name, statistics)
    share = statistics['changed_share']
    print_log(f'{name}: ' + ('there already, ' if result.skipped else '')
              + ('no valid pixel' if share is None else
                 f'{share:.2%} of the valid pixels changed'),
              logger='current')


def save_statistics(out, name, statistics):
    write_atomically(out / f'{name}_statistics.json',
                     (json.dumps(statistics, indent=1) + '\n').encode())


def main():
    args = parse_args()
    with cli.clear_errors():
        if args.vectors:
            # Before hours of work, not after.
            from opencd_gold.scenes.vectors import check_options
            check_options(args.min_area, args.simplify)
        rank, world_size, local_rank = process_of(args.launcher)
        pairs = find_pairs(args.img_from, args.img_to)
        scenes = {name: pair for name, pair in pairs.items()
                  if is_raster(str(pair[0]))}
        pictures = {name: pair for name, pair in pairs.items()
                    if name not in scenes}
        if pictures and args.raster_options:
            raise cli.UsageError(
                f'{next(iter(pictures.values()))[0]} is a picture, but '
                f'{args.raster_options[0]} is for GeoTIFF')
        inferencer = build(args, local_rank)
        show = not args.quiet and rank == 0
        share = list(pictures)[rank::world_size]
        if share:
            predict_pictures(inferencer,
                             {name: pictures[name] for name in share}, args,
                             show)
        if len(scenes) >= world_size:
            # A scene each needs no row of tiles twice.
            for name in list(scenes)[rank::world_size]:
                predict_scene(inferencer, name, scenes[name], args, show, 0,
                              1)
        else:
            for name, pair in scenes.items():
                predict_scene(inferencer, name, pair, args, show, rank,
                              world_size)


if __name__ == '__main__':
    main()
