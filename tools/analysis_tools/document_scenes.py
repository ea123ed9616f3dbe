"""Write docs/scenes.md: from two GeoTIFFs to a map, by doing it.

    python tools/analysis_tools/document_scenes.py --model student.pth

Makes synthetic scenes, runs every command of the page, and fills what they
answered into docs/scenes.md.in, with pictures. The model is one that
tools/quickstart.sh has trained.
"""
import argparse
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import cv2
import numpy as np
import pyogrio
import rasterio
import shapely
from PIL import Image
from rasterio.enums import Resampling
from rasterio.features import rasterize
from rasterio.transform import from_origin
from rasterio.warp import calculate_default_transform, reproject

from opencd_gold.datasets.synthetic import make_triplet
from opencd_gold.engine import cli
from opencd_gold.scenes.grid import Layer, LayerReader, ScenePair
from opencd_gold.scenes.parts import write_atomically
from opencd_gold.visualization.panels import Panel, draw_panels, to_display

ROOT = Path(__file__).resolve().parents[2]
CRS = 'EPSG:32633'
PREDICT = ('python tools/predict.py raw/north_A.tif raw/north_B.tif '
           '--model {model} --out {out} --tile-size 256 --overlap 64')
COMMANDS = dict(
    predict=PREDICT.format(model='student.pth', out='maps')
    + ' --vectors gpkg --min-area 50 --simplify 1',
    prepare='python tools/dataset_converters/prepare_scenes.py raw '
    '--out data/mine --size 128',
    export='python tools/export.py student.pth --out student.onnx '
    '--tile-size 256',
    onnx=PREDICT.format(model='student.onnx', out='maps_onnx'))
TEMPLATE = ROOT / 'docs' / 'scenes.md.in'


def parse_args():
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--model', required=True,
                        help='checkpoint that brings its config')
    parser.add_argument('--docs', type=Path, default=ROOT / 'docs',
                        help='folder of the page (default: docs)')
    parser.add_argument('--size', type=int, default=512,
                        help='of the scenes, in pixels (default: 512)')
    return parser.parse_args()


def write(path, pixels, transform, crs=CRS):
    with rasterio.open(
            path, 'w', driver='GTiff', count=len(pixels), dtype='uint8',
            height=pixels.shape[1], width=pixels.shape[2], crs=crs,
            transform=transform, nodata=0, compress='deflate') as target:
        target.write(pixels)


def make_scenes(folder, size):
    """Three places: A in UTM, B in degrees and coarser."""
    folder.mkdir()
    for index, name in enumerate(('north', 'east', 'south')):
        triplet = make_triplet((7, index), size, change='both')
        place = from_origin(500000 + 20000 * index, 5400000, 1, 1)
        rows, columns = np.mgrid[:size, :size]
        inside = columns + rows > size // 6
        for role, image in (('A', triplet.img_from),
                            ('D', triplet.img_guide)):
            pixels = np.maximum(image, 1) * inside[..., None]
            write(folder / f'{name}_{role}.tif',
                  np.moveaxis(pixels.astype(np.uint8), -1, 0), place)
        write(folder / f'{name}_E.tif', triplet.label[None], place)
        sar = np.maximum(np.moveaxis(triplet.img_to, -1, 0), 1)
        bounds = rasterio.transform.array_bounds(size, size, place)
        other, width, height = calculate_default_transform(
            CRS, 'EPSG:4326', size, size, *bounds)
        turned = np.zeros((1, height, width), np.uint8)
        reproject(sar, turned, src_transform=place, src_crs=CRS,
                  dst_transform=other, dst_crs='EPSG:4326', dst_nodata=0,
                  resampling=Resampling.bilinear)
        # The eastern end is missing.
        turned[:, :, -width // 10:] = 0
        write(folder / f'{name}_B.tif', turned, other, 'EPSG:4326')


def call(command, folder, fails=False):
    """Run a command of the page in ``folder``; what it says."""
    arguments = command.split()
    arguments[:2] = [sys.executable, str(ROOT / arguments[1])]
    if 'predict.py' in command:
        arguments += ['--quiet', '--device', 'cpu']
    environment = {**os.environ, 'PYTHONPATH': str(ROOT)}
    environment.pop('OPENCD_GOLD_TRACEBACK', None)
    done = subprocess.run(arguments, cwd=folder, capture_output=True,
                          text=True, env=environment)
    if bool(done.returncode) != fails:
        raise cli.UsageError(f'{command}: {done.stderr or done.stdout}')
    lines = (done.stderr if fails else done.stdout).splitlines()
    kept = [re.sub(r'^[\d/]+ [\d:]+ - mmengine - INFO - ', '', line)
            for line in lines if '━' not in line and 'WARNING' not in line]
    return '\n'.join(line for line in kept if line.strip())


def describe_inputs(raw):
    rows = ['| file | bands | size | CRS | pixel |',
            '| --- | --- | --- | --- | --- |']
    for role in 'AB':
        with rasterio.open(raw / f'north_{role}.tif') as source:
            rows.append(
                f'| `raw/north_{role}.tif` | {source.count} | '
                f'{source.width} x {source.height} | {source.crs} | '
                f'{source.res[0]:.3g} x {source.res[1]:.3g} |')
    return '\n'.join(rows)


def shown(path, sensor=None):
    with LayerReader(Layer(str(path))) as reader:
        pixels, _ = reader.read_small(reader.own.shape)
    return to_display(pixels.transpose(1, 2, 0), sensor)


def draw_inputs(raw):
    panels = [Panel('A, before, optical', shown(raw / 'north_A.tif')),
              Panel('B, after, SAR', shown(raw / 'north_B.tif', 'sar'))]
    return draw_panels([panels], 360, 360)


def draw_map(raw, maps):
    pair = ScenePair.of(raw / 'north_A.tif', raw / 'north_B.tif')
    with pair.open((3, 1)) as reader:
        height, width = reader.grid.shape
        images, _ = reader.read(
            rasterio.windows.Window(0, 0, width, height))
        place = reader.grid.transform
    with rasterio.open(maps / 'north_A_probability.tif') as source:
        levels = source.read(1)
    outlines = [(shapely.boundary(outline), 255) for outline in
                shapely.from_wkb(pyogrio.raw.read(
                    maps / 'north_A_polygons.gpkg')[2])]
    edges = rasterize(
        outlines, levels.shape, transform=place, dtype=np.uint8) if (
            outlines) else np.zeros_like(levels)
    before = to_display(images[:3].transpose(1, 2, 0)).copy()
    marked = before.copy()
    thick = cv2.dilate(edges, np.ones((5, 5), np.uint8))
    marked[thick > 0] = (255, 221, 0)
    gray = np.where(levels == 255, 128, levels)[..., None]
    panels = [
        Panel('A', before),
        Panel('B on the grid of A', to_display(
            images[3:].transpose(1, 2, 0), 'sar')),
        Panel('probability', np.broadcast_to(gray, (*levels.shape, 3))),
        Panel('polygons', marked)
    ]
    return draw_panels([panels], 300, 300)


def list_errors(folder):
    """Commands that must fail, and what they say."""
    raw = folder / 'raw'
    image = (raw / 'north_B.tif').read_bytes()
    (folder / 'cut_off.tif').write_bytes(image[:len(image) // 2])
    with rasterio.open(raw / 'north_B.tif') as source:
        pixels = source.read()
        write(folder / 'no_crs.tif', pixels, source.transform, None)
    command = 'python tools/predict.py raw/north_A.tif {} --model ' \
        'student.pth --out bad'
    rows = ['| second image | answer |', '| --- | --- |']
    for path in ('raw/east_B.tif', 'no_crs.tif', 'raw/north_D.tif',
                 'cut_off.tif'):
        answer = call(command.format(path), folder, fails=True)
        rows.append(f'| `{path}` | {answer.splitlines()[-1]} |')
    return '\n'.join(rows)


def differ(folder):
    """Largest difference of two maps, in levels."""
    levels = []
    for name in ('maps', 'maps_onnx'):
        with rasterio.open(
                folder / name / 'north_A_probability.tif') as source:
            levels.append(source.read(1).astype(int))
    return np.abs(levels[0] - levels[1]).max()


def encode(image):
    """PNG of an RGB image in 256 colours, small enough for a repository."""
    stream = io.BytesIO()
    # Of the methods, the one that keeps the colour of a thin outline.
    few = Image.fromarray(np.ascontiguousarray(image)).quantize(
        256, Image.Quantize.MAXCOVERAGE)
    few.save(stream, 'PNG', optimize=True)
    return stream.getvalue()


def halve(path):
    """A picture in half its size."""
    image = cv2.imread(str(path))
    return cv2.resize(image, None, fx=.5, fy=.5,
                      interpolation=cv2.INTER_AREA)[..., ::-1]


def walk(folder, args):
    """Do all of the page in ``folder``; its fields and pictures."""
    shutil.copy(args.model, folder / 'student.pth')
    raw = folder / 'raw'
    make_scenes(raw, args.size)
    answers = {name: call(command, folder)
               for name, command in COMMANDS.items()}
    figures = json.loads(
        (folder / 'maps/north_A_statistics.json').read_text())
    fields = dict(
        COMMANDS,
        images='images',
        inputs=describe_inputs(raw),
        predict_answer=answers['predict'],
        prepare_answer=answers['prepare'],
        export_answer=answers['export'],
        polygons=figures['polygons'],
        changed=f'{figures["changed_pixels"]:,}',
        valid=f'{figures["valid_pixels"]:,}',
        area=f'{figures["changed_area_m2"]:,.0f}',
        onnx_difference=differ(folder),
        errors=list_errors(folder))
    pictures = dict(
        scenes_input=encode(draw_inputs(raw)),
        scenes_map=encode(draw_map(raw, folder / 'maps')),
        scenes_tiles=encode(halve(folder / 'data/mine/contact_sheet.png')))
    return fields, pictures


def main():
    args = parse_args()
    with cli.clear_errors(), tempfile.TemporaryDirectory() as temporary:
        fields, pictures = walk(Path(temporary), args)
        for name, content in pictures.items():
            (args.docs / 'images').mkdir(parents=True, exist_ok=True)
            write_atomically(args.docs / 'images' / f'{name}.png', content)
        fields = {key: str(value).replace(f'{temporary}/', '')
                  for key, value in fields.items()}
        write_atomically(
            args.docs / 'scenes.md',
            TEMPLATE.read_text().format(**fields).encode())


if __name__ == '__main__':
    main()
