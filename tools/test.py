"""Measure a checkpoint on the test split.

    python tools/test.py CONFIG CHECKPOINT --show-dir out/
    bash tools/dist_test.sh CONFIG CHECKPOINT GPUS

A config whose model names its checkpoints itself (configs/mtkd/op) needs no
CHECKPOINT.
"""
import argparse

from opencd_gold.building import load_weights
from opencd_gold.compat import end_dist, load_checkpoint_file
from opencd_gold.engine import cli


def parse_args():
    parser = argparse.ArgumentParser(
        description='Measure a checkpoint on the test split')
    cli.add_common_arguments(parser)
    parser.add_argument(
        'checkpoint',
        nargs='?',
        help='checkpoint file; may be left out where the model of the config '
        'names its checkpoints itself')
    parser.add_argument(
        '--out', metavar='DIR', help='write the change maps there, as PNG')
    parser.add_argument(
        '--show', action='store_true', help='show each sample in a window')
    parser.add_argument(
        '--show-dir',
        metavar='DIR',
        help='write a picture of each sample there: images, label, '
        'prediction, hits and errors')
    parser.add_argument(
        '--wait-time',
        type=float,
        default=2,
        help='seconds that --show stays (default: 2)')
    parser.add_argument(
        '--tta',
        action='store_true',
        help="test-time augmentation of the config's tta_pipeline")
    return parser.parse_args()


def prepare(args):
    """Config of the test; raises what is wrong with the arguments."""
    cfg = cli.load_config(args)
    for key in ('test_dataloader', 'test_cfg', 'test_evaluator'):
        if not cfg.get(key):
            raise cli.UsageError(f'{args.config} has no {key}')
    cfg.load_from = args.checkpoint
    cfg.resume = False
    if args.show or args.show_dir:
        draw_pictures(cfg, args)
    if args.out:
        write_maps(cfg, args.out)
    if args.tta:
        augment(cfg)
    return cfg


def draw_pictures(cfg, args):
    """Switch the visualization hook on."""
    hook = cfg.get('default_hooks', {}).get('visualization')
    if hook is None:
        raise cli.UsageError('--show and --show-dir expect '
                             'default_hooks.visualization in the config')
    hook.draw = True
    if args.show:
        hook.update(show=True, wait_time=args.wait_time)
    if args.show_dir:
        hook.out_dir = args.show_dir


def write_maps(cfg, folder):
    """Let the metric write what it measures."""
    evaluators = cfg.test_evaluator
    if isinstance(evaluators, dict):
        evaluators = [evaluators]
    for evaluator in evaluators:
        if evaluator.type.split('.')[-1] == 'ChangeMetric':
            evaluator.output_dir = folder
            return
    raise cli.UsageError('--out expects a ChangeMetric in test_evaluator')


def augment(cfg):
    """Wrap the model and replace the pipeline for augmented testing."""
    for key in ('tta_model', 'tta_pipeline'):
        if not cfg.get(key):
            raise cli.UsageError(f'--tta expects {key} in the config')
    cfg.test_dataloader.dataset.pipeline = cfg.tta_pipeline
    cfg.model = dict(cfg.tta_model, module=cfg.model)


def check_loaded(model):
    """Refuse a model without weights where no checkpoint is given."""
    missing = getattr(model, 'missing_checkpoints', None)
    if missing is None:
        raise cli.UsageError(f'{type(model).__name__} names no checkpoint '
                             'itself, expected CHECKPOINT')
    if missing:
        raise cli.UsageError(
            f'{missing[0]} is not set, nor {len(missing) - 1} more: set them '
            f'in the config, or by --cfg-options {missing[0]}=PATH')


def run(args):
    """Do it, and let go of everything."""
    with cli.clear_errors():
        cfg = prepare(args)
        if args.checkpoint is None:
            runner = cli.build_runner(cfg)
            check_loaded(cli.bare_model(runner))
        else:
            # Read before anything is built, and loaded strictly: mmengine
            # would go on with whatever fits.
            checkpoint = load_checkpoint_file(args.checkpoint)
            runner = cli.build_runner(cfg)
            load_weights(cli.bare_model(runner), checkpoint, args.checkpoint)
    with cli.clear_errors_until_start(runner):
        runner.test()


def main():
    run(parse_args())
    end_dist()


if __name__ == '__main__':
    main()
