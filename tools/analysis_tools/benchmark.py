r"""Measure a training step and a prediction, of one config or two in turns.

    python tools/analysis_tools/benchmark.py CONFIG
    python tools/analysis_tools/benchmark.py \
        configs/gold/gold_r18_4xb8-100k_hcd3s-512x512.py \
        --precision bfloat16 --fuse --vs \
        configs/gold/gold_r18-plain-for-comparison_4xb8-100k_hcd3s-512x512.py

    python tools/analysis_tools/benchmark.py CONFIG --part backbone

Without --batch and --size, training takes 8 samples of 128x128 pixels and
prediction one of 512x512.
"""
import argparse
import json
import platform
import sys
from argparse import Namespace
from dataclasses import asdict
from pathlib import Path

import torch
from mmengine.utils import ProgressBar
from prettytable import PrettyTable

from opencd_gold.apis import benchmark
from opencd_gold.engine import cli

DEFAULT_BATCH = dict(train=8, infer=1)
DEFAULT_SIZE = dict(train=(128, 128), infer=(512, 512))
PRECISIONS = ('float32', 'bfloat16')


def parse_args():
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('config', help='config file')
    parser.add_argument(
        '--vs', metavar='CONFIG', help='config to compare with, in turns')
    parser.add_argument(
        '--mode',
        choices=(*benchmark.MODES, 'both'),
        default='both',
        help='training step, prediction, or both (default)')
    parser.add_argument('--batch', type=int, help='samples')
    parser.add_argument(
        '--size', type=int, nargs=2, metavar=('H', 'W'), help='in pixels')
    parser.add_argument(
        '--repeats', type=int, default=10, help='of each (default: 10)')
    parser.add_argument(
        '--warmup',
        type=int,
        default=2,
        help='steps of each that do not count (default: 2)')
    parser.add_argument(
        '--device',
        default='cuda' if torch.cuda.is_available() else 'cpu',
        help='default: cuda where there is one, else cpu')
    parser.add_argument(
        '--threads', type=int, help='of torch on the CPU (default: all)')
    parser.add_argument(
        '--part',
        metavar='NAME',
        help='measure this submodule alone, such as decode_head.diffs.0: '
        'forward pass, and in training backward pass')
    parser.add_argument(
        '--no-memory',
        action='store_true',
        help='leave out peak memory, which takes a process for each')
    parser.add_argument('--out', help='write all figures there, as JSON')
    for prefix, of in (('', 'CONFIG'), ('vs-', 'the config of --vs')):
        parser.add_argument(
            f'--{prefix}precision',
            choices=PRECISIONS,
            help=f'of {of}, instead of what it says')
        parser.add_argument(
            f'--{prefix}fuse',
            action='store_true',
            help=f'fuse {of} for prediction (init_model(..., fuse=True))')
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=cli.OptionAction,
        metavar='KEY=VALUE',
        help='override CONFIG')
    parser.add_argument(
        '--vs-options',
        nargs='+',
        action=cli.OptionAction,
        metavar='KEY=VALUE',
        help='override the config of --vs')
    args = parser.parse_args()
    if args.vs is None and (args.vs_precision or args.vs_fuse
                            or args.vs_options):
        args.vs = args.config
    if args.repeats < 1 or args.warmup < 0:
        parser.error('--repeats must be positive, --warmup not negative')
    return args


def read_candidate(path, options, precision, fuse, part):
    cfg = cli.load_config(
        Namespace(
            config=path,
            cfg_options=options,
            data_root=None,
            work_dir=None,
            launcher='none',
            local_rank=0))
    name = Path(path).stem
    name += f' {precision}' if precision else ''
    name += ''.join(f' {key}={value}' for key, value in
                    (options or {}).items())
    name += f' {part}' if part else ''
    return benchmark.Candidate(name, cfg, precision, fuse, part)


def read_candidates(args):
    found = [
        read_candidate(args.config, args.cfg_options, args.precision,
                       args.fuse, args.part)
    ]
    if args.vs:
        found.append(
            read_candidate(args.vs, args.vs_options, args.vs_precision,
                           args.vs_fuse, args.part))
    return found


def run(args, mode, candidates):
    work = benchmark.Workload(
        mode=mode,
        batch=args.batch or DEFAULT_BATCH[mode],
        size=tuple(args.size or DEFAULT_SIZE[mode]),
        device=args.device,
        threads=args.threads)
    print(f'{mode}: {work.batch} x {work.size[0]}x{work.size[1]}')
    # First, while this process is small.
    peaks = [None] * len(candidates)
    if not args.no_memory:
        peaks = [benchmark.peak_memory(item, work) for item in candidates]
    steps = len(candidates) * (args.repeats + args.warmup)
    bar = ProgressBar(steps, file=sys.stderr)
    results = benchmark.measure(candidates, work, args.repeats, args.warmup,
                                bar.update)
    sys.stderr.write('\n')
    for result, peak in zip(results, peaks):
        result.peak_bytes = peak
    return work, results


def table_of(mode, candidates, results):
    table = PrettyTable(
        ['', 'median ms', 'samples/s', 'peak MiB', 'speed', 'memory'])
    table.title = mode
    table.align = 'r'
    table.align[''] = 'l'
    ratios = benchmark.ratios(results) if len(results) == 2 else {}
    for index, (candidate, result) in enumerate(zip(candidates, results)):
        peak = '' if result.peak_bytes is None else (
            f'{result.peak_bytes / 2**20:.0f}')
        fused = mode == 'infer' and candidate.fuse
        row = [
            candidate.name + ' fused' * fused, f'{1e3 * result.median:.1f}',
            f'{result.rate:.2f}', peak
        ]
        for name in ('speed', 'memory'):
            shown = f'{ratios[name]:.2f}x' if name in ratios else ''
            row.append(shown if index == 0 else '1.00x' if shown else '')
        table.add_row(row)
    return table


def machine(args):
    cpu = platform.processor() or platform.machine()
    info = Path('/proc/cpuinfo')
    if info.is_file():
        models = [line.split(':', 1)[1].strip()
                  for line in info.read_text().splitlines()
                  if line.startswith('model name')]
        cpu = models[0] if models else cpu
    gpu = args.device.startswith('cuda')
    return dict(
        cpu=cpu,
        threads=args.threads or torch.get_num_threads(),
        device=torch.cuda.get_device_name(args.device) if gpu else 'cpu',
        torch=torch.__version__)


def main():
    args = parse_args()
    report = dict(command=sys.argv, machine=machine(args), results={})
    tables = []
    with cli.clear_errors():
        candidates = read_candidates(args)
        modes = benchmark.MODES if args.mode == 'both' else (args.mode, )
        for mode in modes:
            work, results = run(args, mode, candidates)
            tables.append(table_of(mode, candidates, results))
            report['results'][mode] = dict(
                workload=asdict(work),
                candidates=[
                    dict(
                        name=item.name,
                        precision=item.precision,
                        fuse=item.fuse,
                        **result.summary())
                    for item, result in zip(candidates, results)
                ],
                ratios=benchmark.ratios(results) if args.vs else {})
    for table in tables:
        print(table)
    print(', '.join(f'{key} {value}'
                    for key, value in report['machine'].items()))
    if args.out:
        out = Path(args.out)
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(json.dumps(report, indent=2) + '\n')
        print(f'written to {out}')


if __name__ == '__main__':
    main()
