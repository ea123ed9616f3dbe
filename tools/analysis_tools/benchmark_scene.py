r"""Measure the prediction of whole scenes: speed, memory, seams.

    python tools/analysis_tools/benchmark_scene.py --model student.pth \
        --sizes 4096 16384 32768
    python tools/analysis_tools/benchmark_scene.py --model student.pth \
        --sizes 4096 --naive --seams

Scenes are made of noise that is alike everywhere, on disk, as tiled GeoTIFF.
Each size runs in a process of its own, so that its peak memory is its own.
Speed counts all, from opening the images to the finished maps. The naive loop
reads both images, predicts tile by tile and writes the mosaic: with the
network in its fastest form, as predict.py has it, and with the network as it
was built, in float32 and not fused.
"""
import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import rasterio
from prettytable import PrettyTable
from rasterio.transform import from_origin
from rasterio.windows import Window

from opencd_gold.apis import ChangeInferencer
from opencd_gold.engine import cli
from opencd_gold.scenes.predict import predict_array

_BLOCK = 512
_PLACE = from_origin(500000, 5400000, 1, 1)


def parse_args():
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--model', required=True, help='as of predict.py')
    parser.add_argument('--weights', help='checkpoint of a config')
    parser.add_argument('--sizes', type=int, nargs='+', default=[4096],
                        help='sides of scenes, in pixels (default: 4096)')
    parser.add_argument('--naive', action='store_true',
                        help='run the naive loops as well')
    parser.add_argument(
        '--seams', action='store_true',
        help='compare tiles with the scene at once, at --seam-size')
    parser.add_argument('--seam-size', type=int, default=2048,
                        help='side, in pixels (default: 2048)')
    parser.add_argument('--device', help='as of predict.py')
    parser.add_argument('--batch-size', type=int, default=4)
    parser.add_argument('--tile-size', type=int, default=512)
    parser.add_argument('--overlap', type=int, default=128)
    parser.add_argument('--folder', help='for scenes and maps '
                        '(default: a temporary one)')
    parser.add_argument('--out', help='write all figures there, as JSON')
    parser.add_argument('--worker', help=argparse.SUPPRESS)
    return parser.parse_args()


def make_scene(folder, size, channels):
    """Two images of texture that repeats, written block by block."""
    rng = np.random.default_rng(0)
    paths = []
    for name, bands in zip('ab', channels):
        path = folder / f'{name}{size}.tif'
        paths.append(path)
        if path.exists():
            continue
        coarse = rng.random((bands, _BLOCK // 16, _BLOCK // 16))
        texture = np.kron(coarse, np.ones((16, 16)))
        texture = 0.7 * texture + 0.3 * rng.random(texture.shape)
        block = np.uint8(1 + 254 * texture)
        with rasterio.open(
                path, 'w', driver='GTiff', count=bands, height=size,
                width=size, dtype='uint8', crs='EPSG:32633',
                transform=_PLACE, tiled=True, blockxsize=_BLOCK,
                blockysize=_BLOCK, compress='lzw',
                bigtiff='if_safer') as target:
            for row in range(0, size, _BLOCK):
                for column in range(0, size, _BLOCK):
                    height = min(_BLOCK, size - row)
                    width = min(_BLOCK, size - column)
                    shifted = np.roll(block, (row // 8, column // 8), (1, 2))
                    target.write(
                        shifted[:, :height, :width],
                        window=Window(column, row, width, height))
    return paths


def build(args, kind):
    options = {}
    if kind == 'naive-float32':
        options = dict(fuse=False, cfg_options={
            'model.test_cfg.precision': 'float32'})
    return ChangeInferencer(
        args.model, args.weights, device=args.device,
        batch_size=args.batch_size, tile_size=args.tile_size,
        overlap=args.overlap, **options)


def run_scene(args, inferencer, paths, out):
    start = time.perf_counter()
    result = inferencer.predict_scene(*paths, out, overwrite=True)
    seconds = time.perf_counter() - start
    return dict(seconds=seconds, forward=result.timer.forward,
                tiles=result.timer.tiles)


def run_naive(args, inferencer, paths, out):
    """Read all, tile by tile, stitch, write."""
    start = time.perf_counter()
    images = []
    for path in paths:
        with rasterio.open(path) as source:
            images.append(source.read())
    images = np.concatenate(images)
    height, width = images.shape[1:]
    size, step = args.tile_size, args.tile_size - args.overlap
    total = np.zeros((height, width), np.float32)
    weight = np.zeros((height, width), np.float32)
    forward, tiles = 0., 0
    for row in range(0, max(height - args.overlap, 1), step):
        for column in range(0, max(width - args.overlap, 1), step):
            top = max(0, min(row, height - size))
            left = max(0, min(column, width - size))
            here = (slice(top, top + size), slice(left, left + size))
            begin = time.perf_counter()
            found = inferencer.backend(images[(slice(None), *here)][None])
            forward += time.perf_counter() - begin
            tiles += 1
            total[here] += found[0]
            weight[here] += 1
    probability = np.rint(total / weight * 254).astype(np.uint8)
    mask = (total / weight > inferencer.threshold).astype(np.uint8)
    out.mkdir(parents=True, exist_ok=True)
    for name, band in (('probability', probability), ('mask', mask)):
        with rasterio.open(
                out / f'naive_{name}.tif', 'w', driver='GTiff', count=1,
                height=height, width=width, dtype='uint8', crs='EPSG:32633',
                transform=_PLACE, compress='deflate', tiled=True) as target:
            target.write(band, 1)
    return dict(seconds=time.perf_counter() - start, forward=forward,
                tiles=tiles)


def run_seams(args, inferencer, paths, out):
    """Largest and mean difference of tiles from the scene at once."""
    with rasterio.open(paths[0]) as first, rasterio.open(
            paths[1]) as second:
        images = np.concatenate([first.read(), second.read()])
    whole = inferencer.backend(images[None])[0]
    found = {}
    for overlap in (args.overlap, 0):
        tiled = predict_array(
            inferencer.backend, images, np.ones(whole.shape, bool),
            args.tile_size, overlap, args.batch_size)
        error = np.abs(tiled - whole)
        # Steps between neighbors, beyond those of the scene at once.
        steps = [np.abs(np.abs(np.diff(tiled, axis=axis))
                        - np.abs(np.diff(whole, axis=axis))).max()
                 for axis in (0, 1)]
        found[f'overlap {overlap}'] = dict(
            largest=float(error.max()), mean=float(error.mean()),
            largest_step=float(max(steps)),
            other_class=float(((tiled > 0.5) != (whole > 0.5)).mean()))
    return found


NAIVE = ('naive', 'naive-float32')
RUNS = dict(scene=run_scene, **dict.fromkeys(NAIVE, run_naive),
            seams=run_seams)


def work(args, kind, size, folder):
    """One run, in this process."""
    inferencer = build(args, kind)
    paths = make_scene(folder, size, inferencer.spec.channels)
    # The first call of a network is slow.
    inferencer.backend(np.zeros(
        (1, sum(inferencer.spec.channels), args.tile_size, args.tile_size),
        np.uint8))
    found = RUNS[kind](args, inferencer, paths, folder / f'maps{size}')
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return dict(kind=kind, size=size, peak_bytes=peak, **found)


def in_a_process(args, kind, size, folder):
    command = [sys.executable, __file__, *sys.argv[1:], '--folder',
               str(folder), '--worker', f'{kind}:{size}']
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise cli.UsageError(f'{kind} {size}: {done.stderr.strip()}')
    return json.loads(done.stdout.splitlines()[-1])


def show(results):
    table = PrettyTable(['run', 'side', 'Mpx/s', 'forward share',
                         'peak MiB'])
    table.align = 'r'
    for result in results:
        if result['kind'] == 'seams':
            continue
        rate = result['size']**2 / 1e6 / result['seconds']
        table.add_row([
            result['kind'], result['size'], f'{rate:.3f}',
            f'{result["forward"] / result["seconds"]:.1%}',
            f'{result["peak_bytes"] / 2**20:.0f}'])
    print(table)
    by_kind = {(result['kind'], result['size']): result
               for result in results}
    for (kind, size), result in by_kind.items():
        if kind in NAIVE:
            ratio = result['seconds'] / by_kind['scene', size]['seconds']
            print(f'{size}: {ratio:.2f}x the loop {kind}')
    for result in results:
        if result['kind'] == 'seams':
            for name in result:
                if name.startswith('overlap'):
                    print(f'{name}: {result[name]}')


def main():
    args = parse_args()
    if args.worker:
        kind, size = args.worker.split(':')
        with cli.clear_errors():
            print(json.dumps(work(args, kind, int(size),
                                  Path(args.folder))))
        return
    with cli.clear_errors(), tempfile.TemporaryDirectory() as temporary:
        folder = Path(args.folder or temporary)
        folder.mkdir(parents=True, exist_ok=True)
        runs = [(kind, size) for size in args.sizes
                for kind in ('scene', *(NAIVE if args.naive else ()))]
        if args.seams:
            runs.append(('seams', args.seam_size))
        results = [in_a_process(args, *run, folder) for run in runs]
        show(results)
        if args.out:
            Path(args.out).write_text(
                json.dumps(dict(command=sys.argv, results=results),
                           indent=2) + '\n')


if __name__ == '__main__':
    main()
