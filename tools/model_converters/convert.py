"""Turn an authors' checkpoint into one that this package loads strictly."""
import argparse
from pathlib import Path

import torch
from mmengine.logging import MMLogger

from opencd_gold.apis.convert import RULES, check_complete
from opencd_gold.compat import load_checkpoint_file


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('system', choices=sorted(RULES))
    parser.add_argument('src', type=Path, help="the authors' checkpoint")
    parser.add_argument('dst', type=Path, help='where to write the result')
    parser.add_argument(
        '--config',
        type=Path,
        help='config that the result must load into, for another network '
        'than the published ones')
    parser.add_argument(
        '--force', action='store_true', help='overwrite DST if it exists')
    return parser, parser.parse_args()


def main():
    parser, args = parse_args()
    logger = MMLogger.get_instance('convert')
    if args.dst.exists() and not args.force:
        parser.error(f'{args.dst} exists; --force overwrites it')
    try:
        state = load_checkpoint_file(args.src)
        state = state.get('state_dict', state.get('net', state))
        state, dead = RULES[args.system].convert(state)
        check_complete(args.system, state, args.config)
    except (OSError, ValueError, KeyError) as error:
        parser.error(f'{args.src}: {error}')
    args.dst.parent.mkdir(parents=True, exist_ok=True)
    torch.save(dict(state_dict=state, meta=dict(system=args.system)), args.dst)
    logger.info(f'{args.dst}: {len(state)} tensors')
    logger.info(f"left out, never used by the authors' network: {len(dead)} "
                f'tensors {dead}')


if __name__ == '__main__':
    main()
