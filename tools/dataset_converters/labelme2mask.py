"""Make label maps, or vector files, of annotations.

    python tools/dataset_converters/labelme2mask.py DATA_ROOT
    python tools/dataset_converters/labelme2mask.py DATA_ROOT \
        --format gpkg --out polygons

DATA_ROOT is what tools/annotate.py takes. Label maps go to where the
package's data sets look for them, label/NAME.png beside A and B: 0 and 255,
or, with several classes, 1 for the first and so on. GeoTIFF carries the
georeference of A, GeoPackage and GeoJSON its CRS. Pairs that are not done
are left out.
"""
import argparse
from pathlib import Path

from mmengine.logging import print_log
from rich.progress import track

from opencd_gold.annotation.errors import AnnotationError
from opencd_gold.annotation.exchange import (
    Values,
    write_mask,
    write_vectors,
)
from opencd_gold.annotation.imagery import open_pair
from opencd_gold.annotation.labelme import STATES
from opencd_gold.annotation.project import (
    Project,
    add_project_arguments,
)
from opencd_gold.annotation.storage import Storage
from opencd_gold.datasets.converting import add_write_options
from opencd_gold.engine import cli

FORMATS = ('png', 'tif', 'gpkg', 'geojson')


def parse_args():
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    add_project_arguments(parser)
    parser.add_argument('--format', choices=FORMATS, default='png',
                        help='(default: png)')
    parser.add_argument(
        '--out', type=Path, help='folder of NAME.FORMAT (default: where '
        'labels are in DATA_ROOT)')
    parser.add_argument(
        '--classes', nargs='+', default=['changed'], metavar='NAME',
        help='in the order of their values (default: changed)')
    parser.add_argument(
        '--states', nargs='+', choices=STATES[1:], default=['done'],
        help='of the pairs to convert (default: done)')
    add_write_options(parser)
    return parser.parse_args()


def plan(args, project):
    """Pairs to write: pair, shapes, values and file of each."""
    storage = Storage(project)
    values = Values.of([entry.name for entry in project.classes])
    jobs, left_out = [], 0
    for pair in project.pairs:
        # Files of labelme alone have no state.
        document, version = storage.load(pair, 'done')
        if not version:
            continue
        if document.state not in args.states:
            left_out += 1
            continue
        base = args.out / pair.name if args.out else pair.label
        path = base.with_name(f'{base.name}.{args.format}')
        if path.exists() and not args.force:
            raise AnnotationError(f'{path} exists; --force replaces it, '
                                  '--out writes elsewhere')
        jobs.append((pair, document.shapes, values.of_shapes(
            document.shapes, project.document(pair)), path))
    if not jobs:
        raise AnnotationError(
            f'{project.annotations}: no annotation in the state '
            f'{" or ".join(args.states)}, {left_out} in another; --states '
            'takes others')
    return jobs, left_out


def main():
    args = parse_args()
    with cli.clear_errors():
        project = Project.open(args.data_root, args.classes,
                               allowed=args.allow)
        jobs, left_out = plan(args, project)
        grids = [open_pair(pair, {}).grid for pair, *_ in jobs]
        if args.format in FORMATS[2:]:
            for (_, _, _, path), grid in zip(jobs, grids):
                if grid.crs is None:
                    raise AnnotationError(
                        f'{path}: its image has no CRS, expected a '
                        'georeferenced one for vector files')
        if args.dry_run:
            print_log(f'would write {len(jobs)} files', logger='current')
            return
        for (_, shapes, values, path), grid in zip(
                track(jobs, 'writing'), grids):
            path.parent.mkdir(parents=True, exist_ok=True)
            temporary = path.with_name(f'.{path.name}.tmp{path.suffix}')
            try:
                if args.format in FORMATS[:2]:
                    write_mask(shapes, values, grid, temporary)
                else:
                    write_vectors(shapes, grid, temporary)
                temporary.replace(path)
            finally:
                temporary.unlink(missing_ok=True)
    print_log(f'{len(jobs)} files written, first {jobs[0][3]}; {left_out} '
              f'pairs in another state left out', logger='current')


if __name__ == '__main__':
    main()
