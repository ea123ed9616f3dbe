"""Draw samples of a data set as the model gets them, after the pipeline."""
import argparse
import os.path as osp
from itertools import islice

import numpy as np
from mmengine.config import Config, DictAction
from mmengine.logging import MMLogger
from mmengine.registry import init_default_scope
from mmengine.utils import track_iter_progress

import opencd_gold  # noqa: F401
from opencd_gold.registry import DATA_SAMPLERS, DATASETS
from opencd_gold.structures import split_images
from opencd_gold.visualization import ChangeVisualizer, write_picture


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config', help='config file')
    parser.add_argument('--out', required=True, help='folder of the pictures')
    parser.add_argument(
        '--number', type=int, default=20, help='samples (default: 20)')
    parser.add_argument(
        '--split',
        choices=('train', 'val', 'test'),
        default='train',
        help='which data loader of the config (default: train)')
    parser.add_argument(
        '--seed', type=int, default=0, help='of the sampler (default: 0)')
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=DictAction,
        help='settings of the config to override: key=value')
    return parser.parse_args()


def separate(inputs, sample, channels) -> list:
    """Separate packed ``inputs`` (C, H, W) into HWC arrays, RGB order."""
    images = []
    for image in split_images(inputs[None], channels):
        if image is None:
            continue
        image = image[0].permute(1, 2, 0).numpy()
        if sample.get('color_order') == 'bgr' and image.shape[2] == 3:
            image = image[..., ::-1]
        # Packed beside a float image, 8-bit images become float.
        if image.min() >= 0 and 1 < image.max() <= 255:
            image = image.astype(np.uint8)
        images.append(image)
    return images


def main():
    args = parse_args()
    cfg = Config.fromfile(args.config)
    if args.cfg_options:
        cfg.merge_from_dict(args.cfg_options)
    init_default_scope(cfg.get('default_scope', 'opencd_gold'))
    loader = cfg.get(f'{args.split}_dataloader')
    if loader is None:
        raise SystemExit(
            f'{args.config} has no {args.split}_dataloader to browse')
    dataset = DATASETS.build(loader.dataset)
    sampler = DATA_SAMPLERS.build(
        loader.sampler, default_args=dict(dataset=dataset, seed=args.seed))
    channels = tuple(cfg.model.data_preprocessor.channels)
    visualizer = ChangeVisualizer(name='browse_dataset')
    visualizer.dataset_meta = dataset.metainfo
    number = min(args.number, len(dataset))
    draws = islice(sampler, number)
    for turn, draw in enumerate(track_iter_progress((draws, number))):
        packed = dataset[draw]
        sample = packed['data_samples']
        stem = osp.splitext(osp.basename(sample.img_path[0]))[0]
        picture = visualizer.draw(
            separate(packed['inputs'], sample, channels),
            sample,
            caption=stem)
        write_picture(picture, osp.join(args.out, f'{turn:04d}_{stem}.png'))
    MMLogger.get_current_instance().info(
        f'{number} pictures are in {args.out}')


if __name__ == '__main__':
    main()
