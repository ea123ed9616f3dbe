"""Make annotations of label maps, or of vector files.

    python tools/dataset_converters/mask2labelme.py DATA_ROOT
    python tools/dataset_converters/mask2labelme.py DATA_ROOT \
        --labels maps --suffix _mask.tif --state draft --simplify 1
    python tools/dataset_converters/mask2labelme.py DATA_ROOT \
        --labels polygons --suffix .gpkg

DATA_ROOT is what tools/annotate.py takes. Labels are searched beside the
images (label/NAME.png or .tif), or in --labels as NAMESUFFIX. A label map is
0 and 255, 0 and 1, or, with several classes, their numbers; vector files
(.gpkg, .geojson) have a field `label`, or all are of the first class. Labels
with another georeference are put on the grid of A. Pairs without a label are
left out; annotations that are there are not replaced.
"""
import argparse
from pathlib import Path

from mmengine.logging import print_log
from rich.progress import track

from opencd_gold.annotation.errors import AnnotationError
from opencd_gold.annotation.exchange import (
    RASTERS,
    read_mask,
    read_vectors,
)
from opencd_gold.annotation.imagery import open_pair
from opencd_gold.annotation.labelme import STATES, Document, serialize
from opencd_gold.annotation.project import (
    Project,
    add_project_arguments,
)
from opencd_gold.annotation.storage import write
from opencd_gold.datasets.converting import add_write_options
from opencd_gold.engine import cli

VECTORS = ('.gpkg', '.geojson')


def parse_args():
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    add_project_arguments(parser)
    parser.add_argument('--labels', type=Path,
                        help='folder of the labels (default: beside the '
                        'images)')
    parser.add_argument(
        '--suffix', help='of the labels, e.g. _mask.tif or .gpkg (default: '
        f'any of {", ".join((*RASTERS, *VECTORS))})')
    parser.add_argument(
        '--classes', nargs='+', default=['changed'], metavar='NAME',
        help='in the order of their values (default: changed)')
    parser.add_argument('--state', choices=STATES[1:], default='done',
                        help='of the annotations (default: done)')
    parser.add_argument(
        '--min-area', type=float, default=0, metavar='PIXELS',
        help='smaller regions of a map are left out (default: 0)')
    parser.add_argument(
        '--simplify', type=float, default=0, metavar='PIXELS',
        help="how far vertices of a map's outlines may move (default: 0, "
        'the way back is exact)')
    parser.add_argument('--ignore-255', action='store_true',
                        help='255 is unknown, and no class')
    add_write_options(parser)
    return parser.parse_args()


def find_label(args, pair):
    """Label of a pair, None without one."""
    base = args.labels / pair.name if args.labels else pair.label
    suffixes = [args.suffix] if args.suffix else [*RASTERS, *VECTORS]
    found = [path for path in (base.with_name(base.name + suffix)
                               for suffix in suffixes) if path.is_file()]
    if len(found) > 1:
        raise AnnotationError(f'{found[0]} and {found[1]} are both labels of '
                              f'{pair.name}; --suffix chooses')
    return found[0] if found else None


def convert(args, project, pair, label):
    """Annotation of one pair."""
    classes = [entry.name for entry in project.classes]
    grid = open_pair(pair, {}).grid
    if label.suffix in VECTORS:
        shapes = read_vectors(label, classes, grid)
    else:
        shapes = read_mask(label, classes, grid, args.min_area,
                           args.simplify, args.ignore_255)
    path = project.document(pair)
    content = serialize(Document(shapes, args.state), path,
                        pair.images['A'], grid.width, grid.height)
    return path, content, len(shapes)


def main():
    args = parse_args()
    with cli.clear_errors():
        if min(args.min_area, args.simplify) < 0:
            raise AnnotationError(
                f'--min-area {args.min_area}, --simplify {args.simplify}: '
                'expected 0 or positive numbers')
        project = Project.open(args.data_root, args.classes,
                               allowed=args.allow)
        labels = {pair: find_label(args, pair) for pair in project.pairs}
        pairs = [pair for pair in project.pairs if labels[pair]]
        if not pairs:
            raise AnnotationError(
                f'{args.labels or project.root}: no label of any of '
                f'{len(labels)} pairs, e.g. {project.pairs[0].name}')
        for pair in pairs:
            path = project.document(pair)
            project.check_inside(path)
            if path.exists() and not args.force:
                raise AnnotationError(f'{path} exists; --force replaces it')
        total = 0
        for pair in track(pairs, 'converting'):
            path, content, count = convert(args, project, pair, labels[pair])
            total += count
            if not args.dry_run:
                write(path, content)
    print_log(f'{"would write" if args.dry_run else "written"}: {len(pairs)} '
              f'annotations with {total} polygons; {len(labels) - len(pairs)}'
              ' pairs have no label', logger='current')


if __name__ == '__main__':
    main()
