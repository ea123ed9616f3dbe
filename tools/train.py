"""Train a model.

    python tools/train.py CONFIG
    python tools/train.py CONFIG --resume          # the last checkpoint
    bash tools/dist_train.sh CONFIG GPUS
"""
import argparse

from opencd_gold.building import load_weights
from opencd_gold.compat import end_dist, load_checkpoint_file
from opencd_gold.engine import cli


def parse_args():
    parser = argparse.ArgumentParser(description='Train a model')
    cli.add_common_arguments(parser)
    parser.add_argument(
        '--resume',
        nargs='?',
        const='auto',
        metavar='CHECKPOINT',
        help='go on with a run: the last checkpoint of the work dir, '
        'or the one that is named')
    parser.add_argument(
        '--amp',
        action='store_true',
        help='mixed precision: float16 on CUDA, bfloat16 on a CPU')
    parser.add_argument(
        '--seed', type=int, help='of everything random, instead of the '
        "config's")
    parser.add_argument(
        '--deterministic',
        action='store_true',
        help='let cuDNN use deterministic algorithms alone')
    return parser.parse_args()


def prepare(args):
    """Config of the run; raises what is wrong with the arguments."""
    cfg = cli.load_config(args)
    if args.amp:
        cli.use_amp(cfg)
    if args.seed is not None:
        cfg.merge_from_dict({'randomness.seed': args.seed})
    if args.deterministic:
        cfg.merge_from_dict({'randomness.deterministic': True})
    if args.resume or cfg.get('resume'):
        cfg.resume = True
        cfg.load_from = cli.find_resumable(
            cfg.work_dir, args.resume or cfg.get('load_from') or 'auto')
    else:
        cli.warn_of_earlier_run(cfg.work_dir)
    return cfg


def check_weights(runner, cfg):
    """Refuse a checkpoint that mmengine would load in part or not at all."""
    source = cfg.get('load_from')
    if not source or '://' in source:
        return
    checkpoint = load_checkpoint_file(source)
    model = cli.bare_model(runner)
    if cfg.get('resume'):
        load_weights(model, checkpoint, source)
        if 'optimizer' not in checkpoint:
            raise cli.UsageError(
                f'{source} holds no optimizer state, so nothing can be '
                'resumed from it; load_from=PATH starts from its weights')
    elif not cli.overlapping_keys(model, checkpoint):
        raise cli.UsageError(
            f'load_from: {source} has no weight that '
            f'{type(model).__name__} of this config could take over')


def run(args):
    """Do it, and let go of everything."""
    with cli.clear_errors():
        cfg = prepare(args)
        runner = cli.build_runner(cfg)
        cli.check_optimizer(cfg)
        check_weights(runner, cfg)
    with cli.clear_errors_until_start(runner):
        runner.train()


def main():
    run(parse_args())
    end_dist()


if __name__ == '__main__':
    main()
