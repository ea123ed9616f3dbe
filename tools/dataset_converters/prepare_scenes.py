"""Cut raw scenes into the tiles of a data set.

    python tools/dataset_converters/prepare_scenes.py raw --out data/mine

reads raw/**/NAME_A.tif (optical before), NAME_B.tif (SAR after), NAME_D.tif
(optical after, the guide) and NAME_E.tif or .png (label), and writes

    data/mine/{train,val,test}/{A,B,C,label}/NAME_yROW_xCOLUMN.png
    data/mine/tiles.csv, summary.json, contact_sheet.png

Layers are put on the grid of A by georeference. Tiles of two splits are never
neighbors. --as-authors makes tiles as the tool of GOLD's authors does.
"""
import argparse
import csv
import json
from collections import Counter
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
from prettytable import PrettyTable
from rich.progress import Progress

from opencd_gold.datasets.converting import (
    ConversionError,
    add_write_options,
    exit_on_error,
    run_jobs,
)
from opencd_gold.scenes import prepare
from opencd_gold.scenes.grid import RESAMPLINGS
from opencd_gold.scenes.parts import write_atomically
from opencd_gold.scenes.quicklook import encode_png
from opencd_gold.visualization.panels import Panel, draw_panels, to_display


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('root', type=Path, help='folder of the scenes')
    parser.add_argument('--out', type=Path, required=True,
                        help='root of the data set to write')
    parser.add_argument(
        '--pattern', default='{name}_{role}.*',
        help='path of a file below ROOT, * for anything '
        '(default: {name}_{role}.*)')
    parser.add_argument(
        '--roles', nargs='+', default=['A=A', 'B=B', 'C=D', 'label=E'],
        metavar='FOLDER=ROLE', help='what {role} is for each folder; C may '
        'be left out (default: A=A B=B C=D label=E)')
    parser.add_argument('--skip-incomplete', action='store_true',
                        help='leave out scenes that lack a file')
    parser.add_argument('--size', type=int, default=512,
                        help='of a tile, in pixels (default: 512)')
    parser.add_argument('--stride', type=int,
                        help='of tiles, in pixels (default: the size)')
    parser.add_argument('--crs', help='of the tiles (default: of A)')
    parser.add_argument('--resolution', type=float,
                        help='size of a pixel in units of the CRS '
                        '(default: of A)')
    parser.add_argument('--resampling', choices=RESAMPLINGS,
                        default='bilinear',
                        help='of images (default: bilinear)')
    parser.add_argument(
        '--depth', choices=('8', 'keep'), default='keep',
        help='8: other than 8-bit images are stretched to 8 bit, alike in '
        'all scenes (default: keep)')
    parser.add_argument(
        '--range', nargs='+', default=[], metavar='FOLDER=LOW,HIGH',
        help='values that become 0 and 255 with --depth 8 (default: '
        'percentiles 0.5 and 99.5 of all scenes)')
    parser.add_argument('--format', choices=('png', 'tif'),
                        help='of the tiles (default: png where it can be)')
    parser.add_argument(
        '--changed', type=int, nargs='+', metavar='VALUE',
        help='values of the label that are change (default: all but 0)')
    parser.add_argument(
        '--max-nodata', type=float, default=0,
        help='share of a tile that may lack data, labeled 255 '
        '(default: 0)')
    parser.add_argument(
        '--max-black', type=float, default=0.95,
        help='tiles that are black from this share on are left out '
        '(default: 0.95)')
    parser.add_argument('--black-level', type=float, default=5,
                        help='black up to this value (default: 5)')
    parser.add_argument(
        '--split', choices=('scene', 'blocks'), default='scene',
        help='what stays together: scenes, or squares of them '
        '(default: scene)')
    parser.add_argument('--ratios', type=float, nargs=3,
                        default=(0.7, 0.15, 0.15),
                        metavar=('TRAIN', 'VAL', 'TEST'),
                        help='(default: 0.7 0.15 0.15)')
    parser.add_argument('--block', type=int,
                        help='side of a block, in pixels (default: 4 tiles)')
    parser.add_argument(
        '--gap', type=int, default=1,
        help='least distance of tiles of two splits, in pixels (default: 1)')
    parser.add_argument('--seed', type=int, default=0,
                        help='of the splits (default: 0)')
    parser.add_argument(
        '--as-authors', action='store_true',
        help='as the tool of the authors: stride 256, no georeference, '
        'padded borders, tiles split one by one, test a copy of val')
    parser.add_argument('--sheet', type=int, default=4, metavar='N',
                        help='tiles of each split in the picture '
                        '(default: 4)')
    add_write_options(parser)
    return parser.parse_args()


def pairs_of(option, texts, known):
    """``KEY=VALUE`` arguments as a dict."""
    found = {}
    for text in texts:
        key, _, value = text.partition('=')
        if key not in known or not value:
            raise ConversionError(f'{option} {text}: expected one of '
                                  f'{", ".join(known)}, = and a value')
        found[key] = value
    return found


def read_roles(texts):
    roles = pairs_of('--roles', texts, ('A', 'B', 'C', prepare.LABEL))
    missing = [key for key in ('A', 'B', prepare.LABEL) if key not in roles]
    if missing or len(set(roles.values())) < len(roles):
        raise ConversionError(f'--roles {" ".join(texts)}: expected A, B and '
                              'label, each of another role')
    return roles


def read_ranges(texts):
    found = {}
    for key, value in pairs_of('--range', texts, ('A', 'B', 'C')).items():
        try:
            low, high = map(float, value.split(','))
        except ValueError:
            low = high = 0
        if not low < high:
            raise ConversionError(f'--range {key}={value}: expected two '
                                  'numbers, the lower first')
        found[key] = (low, high)
    return found


def read_options(args, scenes):
    ranges = read_ranges(args.range)
    if ranges and args.depth != '8':
        raise ConversionError('--range goes with --depth 8')
    if args.as_authors:
        options = replace(prepare.authors_options(), limits=ranges)
    else:
        options = prepare.PrepareOptions(
            size=args.size,
            stride=args.stride or args.size,
            crs=args.crs,
            resolution=args.resolution,
            resampling=args.resampling,
            limits=ranges,
            changed=tuple(args.changed) if args.changed else None,
            max_nodata=args.max_nodata,
            max_black=args.max_black,
            black_level=args.black_level)
    if args.depth == '8':
        options = replace(
            options, limits=prepare.measure_limits(scenes, options))
    return options


def find_tiles(args, scenes, options):
    """Tiles with their splits, and what was left out."""
    find = prepare.authors_tiles if args.as_authors else (
        prepare.look_at_tiles)
    with Progress() as bar:
        task = bar.add_task('looking', total=len(scenes))
        tiles, left_out = find(scenes, options, lambda: bar.advance(task))
    if not tiles:
        raise ConversionError(f'no tile is left: {left_out}')
    if args.as_authors:
        copies = [replace(tile, split='test') for tile in tiles
                  if tile.split == 'val']
        return tiles + copies, left_out
    tiles, near = prepare.split_tiles(
        scenes, options, tiles, args.split,
        dict(zip(prepare.SPLITS, args.ratios)),
        args.block or 4 * options.size, args.gap, args.seed)
    return tiles, {**left_out, 'near_other_split': near}


def summarize(tiles, scenes):
    """Table of splits."""
    table = PrettyTable(['split', 'scenes', 'tiles', 'changed pixels',
                         'tiles with change'])
    table.align = 'r'
    rows = {}
    for split in prepare.SPLITS:
        mine = [tile for tile in tiles if tile.split == split]
        if not mine:
            continue
        rows[split] = dict(
            scenes=sorted({scenes[tile.scene].name for tile in mine}),
            tiles=len(mine),
            changed=float(np.mean([tile.changed for tile in mine])),
            tiles_with_change=sum(tile.changed > 0 for tile in mine))
        table.add_row([split, len(rows[split]['scenes']), len(mine),
                       f'{rows[split]["changed"]:.2%}',
                       rows[split]['tiles_with_change']])
    return table, rows


def write_csv(path, tiles, scenes, writer):
    with open(path, 'w', newline='') as file:
        rows = csv.writer(file)
        rows.writerow(['split', 'name', 'scene', 'row', 'column', 'valid',
                       'black', 'changed'])
        for tile in tiles:
            rows.writerow([tile.split, writer.name(tile),
                           scenes[tile.scene].name, tile.row, tile.column,
                           f'{tile.valid:.4f}', f'{tile.black:.4f}',
                           f'{tile.changed:.4f}'])


def draw_sheet(tiles, scenes, writer, count, seed):
    """Some tiles of each split, those with change first."""
    rng = np.random.default_rng(seed)
    rows = []
    for split in prepare.SPLITS:
        mine = [tile for tile in tiles if tile.split == split]
        order = sorted(rng.permutation(len(mine)),
                       key=lambda index: mine[index].changed == 0)
        for index in order[:count]:
            tile = mine[index]
            row = []
            for folder in scenes[tile.scene].paths:
                pixels = writer.read(tile, folder).transpose(1, 2, 0)
                sensor = 'sar' if folder == 'B' else None
                row.append(Panel(
                    f'{split} {folder}' if not row else folder,
                    to_display(pixels, sensor), folder == prepare.LABEL,
                    f'{tile.changed:.0%}' if folder == prepare.LABEL
                    else ''))
            rows.append(sorted(row, key=lambda panel: panel.is_map))
    return encode_png(draw_panels(rows, 160, 160))


def main(args: argparse.Namespace) -> None:
    roles = read_roles(args.roles)
    scenes, incomplete = prepare.find_scenes(
        args.root, args.pattern, roles,
        args.skip_incomplete or args.as_authors)
    scenes = [scene._replace(paths={folder: scene.paths[folder]
                                    for folder in roles})
              for scene in scenes]
    options = read_options(args, scenes)
    tiles, left_out = find_tiles(args, scenes, options)
    suffix = f'.{args.format}' if args.format else prepare.suffix_for(
        scenes, options)
    if suffix == '.png' != prepare.suffix_for(scenes, options):
        raise ConversionError('--format png: the images are not of 8 bit and '
                              'one or three bands; --depth 8, or tif')
    writer = prepare.TileWriter(scenes, options, args.out, suffix,
                                args.as_authors)
    try:
        run_jobs(writer.jobs(tiles), args.force, args.dry_run, 'tiles')
        table, rows = summarize(tiles, scenes)
        print(table)
        print('left out:', ', '.join(
            f'{count} {reason}' for reason, count in Counter(
                {**left_out, 'incomplete_scenes': len(incomplete)}).items()))
        if args.dry_run:
            return
        write_csv(args.out / 'tiles.csv', tiles, scenes, writer)
        summary = dict(
            splits=rows, left_out=left_out, incomplete_scenes=incomplete,
            seed=args.seed, as_authors=args.as_authors,
            options=asdict(options))
        write_atomically(args.out / 'summary.json',
                         (json.dumps(summary, indent=1) + '\n').encode())
        if args.sheet:
            write_atomically(
                args.out / 'contact_sheet.png',
                draw_sheet(tiles, scenes, writer, args.sheet, args.seed))
    finally:
        writer.close()


if __name__ == '__main__':
    exit_on_error(main, parse_args())
