"""Strip a trained checkpoint to the student, for prediction."""
import argparse
import hashlib
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.logging import MMLogger

from opencd_gold.apis.publish import publish
from opencd_gold.compat import load_checkpoint_file


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('src', type=Path, help='checkpoint of a training run')
    parser.add_argument(
        'dst', type=Path, help='result; -<sha256> goes before its suffix')
    parser.add_argument(
        '--config', help='config of the run (default: in the checkpoint)')
    return parser, parser.parse_args()


def main():
    parser, args = parse_args()
    try:
        config = Config.fromfile(args.config) if args.config else None
        published = publish(load_checkpoint_file(args.src), config)
    except (OSError, ValueError) as error:
        parser.error(f'{args.src}: {error}')
    args.dst.parent.mkdir(parents=True, exist_ok=True)
    partial = args.dst.with_suffix('.partial')
    torch.save(published, partial)
    digest = hashlib.sha256(partial.read_bytes()).hexdigest()[:8]
    final = args.dst.with_name(f'{args.dst.stem}-{digest}{args.dst.suffix}')
    partial.replace(final)
    size = sum(value.numel() for value in published['state_dict'].values())
    MMLogger.get_instance('publish').info(f'{final}: {size:,} numbers')


if __name__ == '__main__':
    main()
