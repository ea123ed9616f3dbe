"""Count the parameters of a config's model and what one prediction takes.

    python tools/analysis_tools/get_flops.py CONFIG --size 512 512
"""
import argparse
from argparse import Namespace

from mmengine.registry import init_default_scope
from prettytable import PrettyTable

from opencd_gold.apis.complexity import count_multiply_adds, count_parameters
from opencd_gold.engine import cli
from opencd_gold.registry import MODELS

UNITS = (('G', 1e9), ('M', 1e6), ('k', 1e3))


def parse_args():
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('config', help='config file')
    parser.add_argument(
        '--size',
        type=int,
        nargs=2,
        metavar=('H', 'W'),
        default=(512, 512),
        help='of the image in pixels (default: 512 512)')
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=cli.OptionAction,
        metavar='KEY=VALUE',
        help='override the config')
    return parser.parse_args()


def short(count):
    for unit, factor in UNITS:
        if count >= factor:
            return f'{count / factor:.2f} {unit}'
    return str(count)


def build(args):
    cfg = cli.load_config(
        Namespace(
            config=args.config,
            cfg_options=args.cfg_options,
            data_root=None,
            work_dir=None,
            launcher='none',
            local_rank=0))
    init_default_scope(cfg.default_scope)
    return MODELS.build(cfg.model)


def main():
    args = parse_args()
    with cli.clear_errors():
        model = build(args)
        parameters = count_parameters(model)
        products = count_multiply_adds(model, tuple(args.size))
    table = PrettyTable(['', 'parameters', 'exactly', 'multiply-adds'])
    table.title = f'{type(model).__name__}, {args.size[0]}x{args.size[1]}'
    table.align = 'r'
    table.align[''] = 'l'
    for name, count in parameters.items():
        used = products.get(name)
        table.add_row([
            name, short(count), f'{count:,}',
            '' if used is None else short(used)
        ])
    print(table)


if __name__ == '__main__':
    main()
