"""Draw the curves of a training run: losses, weights, validation."""
import argparse
import os.path as osp

from mmengine.logging import MMLogger

from opencd_gold.visualization.curves import draw_curves, read_history


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        'work_dir', help='work directory of the run, or one scalars.json')
    parser.add_argument(
        '--out', help='picture to write (default: curves.png in work_dir)')
    return parser.parse_args()


def main():
    args = parse_args()
    folder = args.work_dir
    if osp.isfile(folder):
        folder = osp.dirname(folder)
    out = args.out or osp.join(folder, 'curves.png')
    try:
        draw_curves(read_history(args.work_dir), out)
    except (FileNotFoundError, ValueError) as error:
        raise SystemExit(f'plot_curves.py: {error}') from None
    MMLogger.get_current_instance().info(f'wrote {out}')


if __name__ == '__main__':
    main()
