"""Annotate change in pairs of images, in a web page of this machine.

    python tools/annotate.py DATA_ROOT
    python tools/annotate.py DATA_ROOT --checkpoint student.pth
    python tools/annotate.py pairs.txt --classes changed flooded:#0072b2

DATA_ROOT holds A/ and B/ (or t1/ and t2/), and C/ where there is a third
image, or folders of these (train/, val/, test/), or raw scenes NAME_A.tif and
NAME_B.tif. A list names two or three images a line. What is drawn is saved as
labelme files, DATA_ROOT/annotations/NAME.json, at once;
tools/dataset_converters/labelme2mask.py makes label maps of them. With
--checkpoint, a model draws a first draft.
"""
import argparse
import os
import secrets
import socket
import sys
import threading
import warnings
import webbrowser
from pathlib import Path

from mmengine.logging import print_log
from rasterio.errors import NotGeoreferencedWarning

from opencd_gold.annotation.project import (
    LOOPBACK,
    SENSORS,
    Project,
    add_project_arguments,
)
from opencd_gold.engine import cli

_PORT = 8765


def parse_args():
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    add_project_arguments(parser)
    parser.add_argument(
        '--classes', nargs='+', default=[], metavar='NAME[:#rrggbb]',
        help='classes of change, the first for drafts (default: changed)')
    parser.add_argument(
        '--sensors', nargs='+', default=[], choices=SENSORS,
        metavar='SENSOR', help='optical or sar, of A, B and C (default: an '
        'image of one or two bands beside one of more is sar)')

    model = parser.add_argument_group('drafts')
    model.add_argument(
        '--checkpoint', help='model that draws drafts: a checkpoint, or an '
        'exported model (.onnx, .pt2)')
    model.add_argument('--config', help='of the checkpoint, if it does not '
                       'bring one')
    model.add_argument('--device',
                       help='default: cuda where there is one, else cpu')
    model.add_argument('--threshold', type=float,
                       help='probability to begin with (default: of the '
                       'model)')
    model.add_argument('--tile-size', type=int,
                       help='in pixels (default: of the model)')
    cli.add_band_arguments(model)

    server = parser.add_argument_group('server')
    server.add_argument(
        '--port', type=int, help=f'(default: {_PORT}, or any that is free)')
    server.add_argument(
        '--host', default='127.0.0.1',
        help='address to listen on; another than this machine alone needs '
        '--token, and is not encrypted (default: 127.0.0.1)')
    server.add_argument('--token', help='that the page must show '
                        '(default: a random one)')
    server.add_argument('--allow-host', nargs='+', default=[],
                        metavar='NAME', help='further names that the server '
                        'is called by, e.g. behind a proxy')
    server.add_argument('--no-browser', action='store_true',
                        help='print the address, and open nothing')
    return parser.parse_args()


def load_model(args):
    """The model of drafts, None without one."""
    options = {key: getattr(args, key) for key in
               ('config', 'device', 'threshold', 'tile_size', 'bands_from',
                'bands_to', 'range_from', 'range_to')}
    if args.checkpoint is None:
        for key, value in options.items():
            if value is not None:
                raise cli.UsageError(f'--{key.replace("_", "-")} is for '
                                     'drafts: expected --checkpoint, too')
        return None
    if not Path(args.checkpoint).is_file():
        raise cli.UsageError(f'--checkpoint: no file {args.checkpoint}')
    import torch

    from opencd_gold.apis import ChangeInferencer
    if torch.get_num_threads() > 1:
        # The page wants to be drawn as well.
        torch.set_num_threads(torch.get_num_threads() - 1)
    model, weights = args.checkpoint, None
    if args.config is not None:
        model, weights = args.config, args.checkpoint
    return ChangeInferencer(
        model, weights, device=args.device, batch_size=1,
        threshold=args.threshold, tile_size=args.tile_size)


def check_server(args):
    """Refuse a server that anyone in the network could use."""
    if args.host not in LOOPBACK and not args.token:
        raise cli.UsageError(
            f'--host {args.host} lets other machines in: expected a --token '
            'of your own as well')
    if args.token is not None and (len(args.token) < 8 or not all(
            sign.isalnum() or sign in '-_.~' for sign in args.token)):
        raise cli.UsageError('--token: expected 8 or more letters, digits '
                             'and -_.~')
    if args.port is not None and not 0 <= args.port < 2**16:
        raise cli.UsageError(f'--port {args.port}: expected 0 to 65535')


def listen(host, port):
    """A socket on the port, or on a free one where none was asked for."""
    family = socket.AF_INET6 if ':' in host else socket.AF_INET
    tries = [_PORT, 0] if port is None else [port]
    for number in tries:
        found = socket.socket(family, socket.SOCK_STREAM)
        if os.name == 'posix':
            found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            found.bind((host, number))
            # Who comes before the server is up waits, and is not refused.
            found.listen()
            return found
        except OSError as error:
            found.close()
            if number == tries[-1]:
                raise cli.UsageError(
                    f'{host}:{number} cannot be listened on: '
                    f'{error.strerror or error}; --port takes '
                    'another') from error
    raise AssertionError


def address_of(host, port, token):
    """What to type into a browser."""
    if host in ('0.0.0.0', '::'):
        host = socket.gethostname()
    name = f'[{host}]' if ':' in host else host
    return f'http://{name}:{port}/?token={token}'


def has_screen():
    """Whether a browser can be opened."""
    return sys.platform in ('win32', 'darwin') or any(
        os.environ.get(name) for name in ('DISPLAY', 'WAYLAND_DISPLAY'))


def main():
    args = parse_args()
    # GDAL keeps a share of all memory otherwise; in MiB.
    os.environ.setdefault('GDAL_CACHEMAX', '128')
    # Pictures have no place on the Earth, and need none.
    warnings.filterwarnings('ignore', category=NotGeoreferencedWarning)
    with cli.clear_errors():
        check_server(args)
        project = Project.open(args.data_root, args.classes, args.sensors,
                               args.allow)
        import uvicorn

        from opencd_gold.annotation.server import create_app, names_of
        inferencer = load_model(args)
        token = args.token or secrets.token_urlsafe(24)
        app = create_app(
            project, token, inferencer,
            hosts={*names_of(args.host), *args.allow_host},
            pair_options=dict(bands=(args.bands_from, args.bands_to),
                              limits=(args.range_from, args.range_to)))
        listener = listen(args.host, args.port)
    address = address_of(args.host, listener.getsockname()[1], token)
    triplets = sum('C' in pair.images for pair in project.pairs)
    print_log(f'{project.name}: {len(project.pairs)} pairs, {triplets} with '
              f'a third image; saved in {project.annotations}',
              logger='current')
    print_log(f'open {address}', logger='current')
    print_log('Ctrl-C ends the server', logger='current')
    if not args.no_browser and args.host in LOOPBACK and has_screen():
        threading.Timer(1., webbrowser.open, (address, )).start()
    # The log of requests would hold the token.
    server = uvicorn.Server(uvicorn.Config(
        app, log_level='warning', access_log=False,
        timeout_graceful_shutdown=3))
    try:
        server.run(sockets=[listener])
    except KeyboardInterrupt:
        pass


if __name__ == '__main__':
    main()
