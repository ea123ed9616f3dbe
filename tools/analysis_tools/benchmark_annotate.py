r"""Measure the server of the annotation page: tiles and memory.

    python tools/analysis_tools/benchmark_annotate.py
    python tools/analysis_tools/benchmark_annotate.py \
        --sizes 2048 8192 20000 --out annotate.json

Scenes are pairs of tiled GeoTIFF without overviews, of three 8-bit bands and
one float band. For each size a server of its own is started. A walk through
the scene, from the whole to full resolution and along it, asks for the tiles
that two panes of 1,024 x 768 show: before there are overviews, with them, and
again, when all are known. Times are those of one request after another, and,
for a view, of all its tiles by six at once, as a browser asks. Memory is the
most that the server held. Where there are playwright and Chromium, a headless
browser then zooms and moves: times from an event to the redrawn panes.
"""
import argparse
import json
import os
import re
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import httpx
import numpy as np
import rasterio
from prettytable import PrettyTable
from rasterio.transform import from_origin
from rasterio.windows import Window

from opencd_gold.engine import cli

_BLOCK = 512
_TILE = 256
_PANE = (4, 3)
_STEPS = 6
_AT_ONCE = 6


def parse_args():
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--sizes', type=int, nargs='+',
                        default=[2048, 8192, 20000],
                        help='sides of scenes, in pixels (default: 2048 '
                        '8192 20000)')
    parser.add_argument('--folder', help='for scenes (default: a temporary '
                        'one); those that are there are used again')
    parser.add_argument('--timeout', type=float, default=1800,
                        help='for overviews, in seconds (default: 1800)')
    parser.add_argument('--out', help='write all figures there, as JSON')
    args = parser.parse_args()
    if min(args.sizes) < _TILE:
        parser.error(f'--sizes {min(args.sizes)}: expected {_TILE} or more')
    return args


def make_scene(root, size):
    """A pair of images whose texture repeats, written block by block."""
    rng = np.random.default_rng(0)
    for folder, bands, kind in (('A', 3, np.uint8), ('B', 1, np.float32)):
        path = root / folder / 'scene.tif'
        if path.exists():
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        coarse = rng.random((bands, _BLOCK // 16, _BLOCK // 16))
        texture = np.kron(coarse, np.ones((16, 16)))
        texture = 0.8 * texture + 0.2 * rng.random(texture.shape)
        block = (1 + 254 * texture).astype(kind)
        with rasterio.open(
                path, 'w', driver='GTiff', count=bands, height=size,
                width=size, dtype=kind, crs='EPSG:32633', tiled=True,
                transform=from_origin(500000, 5400000, 1, 1),
                blockxsize=_BLOCK, blockysize=_BLOCK, compress='lzw',
                bigtiff='if_safer') as target:
            for row in range(0, size, _BLOCK):
                for column in range(0, size, _BLOCK):
                    height = min(_BLOCK, size - row)
                    width = min(_BLOCK, size - column)
                    target.write(block[:, :height, :width],
                                 window=Window(column, row, width, height))


class Server(NamedTuple):
    """The tool in a process of its own."""

    address: str
    pid: int
    client: httpx.Client

    def peak(self):
        """The most memory that it held, in bytes; None if unknown."""
        try:
            text = Path(f'/proc/{self.pid}/status').read_text()
        except OSError:
            return None
        return int(re.search(r'VmHWM:\s+(\d+)', text)[1]) * 1024


@contextmanager
def serve(root):
    """A server of a data root, ended in the end."""
    # Beside this file, found as that is run.
    from _annotate_browser import start_tool
    with start_tool(root) as (address, pid):
        base, token = address.split('/?token=')
        with httpx.Client(base_url=base, headers={'X-Token': token},
                          timeout=600) as client:
            yield Server(address, pid, client)


def walk(pair):
    """Views of a walk, each as the addresses of its tiles."""
    views = []
    for level in reversed(range(pair['levels'])):
        columns, rows = (-(-pair[side] // (_TILE * 2**level))
                         for side in ('width', 'height'))
        steps = 1 if level else _STEPS
        for step in range(steps):
            left, top = (
                max(0, min(count - pane, round(
                    count * (step + 1) / (steps + 1) - pane / 2)))
                for count, pane in zip((columns, rows), _PANE))
            views.append([
                f'/api/pairs/{pair["id"]}/tiles/{image["key"]}/{level}/'
                f'{column}/{row}.png' for image in pair['images']
                for row in range(top, min(rows, top + _PANE[1]))
                for column in range(left, min(columns, left + _PANE[0]))])
    return views


def ask(server, address):
    """Seconds of a tile, and whether it is final."""
    start = time.perf_counter()
    answer = server.client.get(address)
    answer.raise_for_status()
    return (time.perf_counter() - start,
            'x-preview' not in answer.headers)


def measure(server, views):
    """Times of the tiles of some views, in milliseconds."""
    single, whole, final = [], [], True
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        for index, view in enumerate(views):
            start = time.perf_counter()
            if index % 2:
                found = list(pool.map(lambda path: ask(server, path), view))
                whole.append(time.perf_counter() - start)
            else:
                found = [ask(server, address) for address in view]
                single += [seconds for seconds, _ in found]
            final = final and all(done for _, done in found)
    return dict(
        tiles=sum(map(len, views)), final=final,
        tile_median=1000 * float(np.median(single)),
        tile_p95=1000 * float(np.percentile(single, 95)),
        view_median=1000 * float(np.median(whole)) if whole else None,
        view_most=1000 * max(whole) if whole else None)


def run(root, size, timeout, browser):
    """Figures of one size; of the page where there is a browser."""
    cache = root / 'annotations/.cache'
    for path in cache.glob('*.tif'):
        path.unlink()
    with serve(root) as server:
        pair = server.client.get('/api/project').json()['pairs'][0]['id']
        idle = server.peak()
        start = time.perf_counter()
        pair = server.client.get(f'/api/pairs/{pair}').json()
        opened = time.perf_counter() - start
        views = walk(pair)
        # The first look, while overviews are being made.
        found = dict(size=size, idle_bytes=idle, open_ms=1000 * opened,
                     cold=measure(server, views))
        coarse = [view[0] for view in views[:1]] + [view[-1] for view
                                                    in views[:1]]
        while time.perf_counter() - start < timeout:
            if all(ask(server, address)[1] for address in coarse):
                break
            time.sleep(0.5)
        else:
            raise cli.UsageError(f'{size}: no overviews after {timeout} s')
        found['overviews_s'] = time.perf_counter() - start
        found['peak_bytes'] = server.peak()
        found['cache_bytes'] = sum(path.stat().st_size
                                   for path in cache.glob('*.tif'))
    # Another server has nothing in memory.
    with serve(root) as server:
        found['with_overviews'] = measure(server, views)
        found['again'] = measure(server, views)
        found['second_peak_bytes'] = server.peak()
    if browser is not None:
        from _annotate_browser import measure as measure_page
        with serve(root) as server:
            found['page'] = measure_page(browser, server.address)
            found['page_peak_bytes'] = server.peak()
    return found


def a_browser():
    """Context of a browser, of None where there is none."""
    from _annotate_browser import find_browser, open_browser
    there = find_spec('playwright') is not None and find_browser()
    return open_browser() if there else nullcontext()


def show(results):
    table = PrettyTable(['side', 'tiles', 'median ms', 'p95 ms',
                         'view median ms', 'view most ms', 'peak MiB'])
    table.align = 'r'
    for result in results:
        for kind, peak in (('cold', 'peak_bytes'),
                           ('with_overviews', 'second_peak_bytes'),
                           ('again', 'second_peak_bytes')):
            part = result[kind]
            row = [part[key] for key in ('tile_median', 'tile_p95',
                                         'view_median', 'view_most')]
            table.add_row([
                result['size'], kind.replace('_', ' '),
                *('' if value is None else f'{value:.1f}' for value in row),
                f'{(result[peak] or 0) / 2**20:.0f}'])
    print(table)
    for result in results:
        print(f'{result["size"]}: pair opened in {result["open_ms"]:.0f} ms, '
              f'overviews after {result["overviews_s"]:.1f} s '
              f'({result["cache_bytes"] / 2**20:.0f} MiB)')
        if 'page' not in result:
            print('no browser: the page was not measured')
            continue
        for name, what in (('redraw', 'panes redrawn with what is there'),
                           ('sharp', 'all tiles of the place there')):
            times = result['page'][name]
            print(f'{result["size"]}: from a wheel or key event, {what}: '
                  f'median {np.median(times):.1f} ms, 95 % within '
                  f'{np.percentile(times, 95):.1f} ms, {len(times)} events; '
                  f'server {result["page_peak_bytes"] / 2**20:.0f} MiB')


def main():
    args = parse_args()
    with cli.clear_errors(), tempfile.TemporaryDirectory(
    ) as temporary, a_browser() as browser:
        folder = Path(args.folder or temporary)
        results = []
        for size in args.sizes:
            root = folder / f'scene{size}'
            make_scene(root, size)
            results.append(run(root, size, args.timeout, browser))
        show(results)
        if args.out:
            Path(args.out).write_text(json.dumps(
                dict(command=sys.argv, cores=os.cpu_count(),
                     results=results), indent=2) + '\n')


if __name__ == '__main__':
    main()
