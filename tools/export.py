"""Write a model as ONNX, or for torch.export, and compare it with torch.

    python tools/export.py student.pth --out student.onnx
    python tools/export.py CONFIG --weights best.pth --out student.pt2
    python tools/predict.py A.tif B.tif --model student.onnx --out maps

The file holds bands, means, tile size, classes and threshold, and takes raw
pixels of any batch, height and width.
"""
import argparse

from mmengine.logging import print_log

from opencd_gold.apis.exporting import export
from opencd_gold.engine import cli


def parse_args():
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        'model', help='config (.py, or its name), or checkpoint that brings '
        'its config (.pth); a teacher is left out')
    parser.add_argument('--weights', help='checkpoint of a config')
    parser.add_argument('--out', required=True,
                        help='file to write, .onnx or .pt2')
    parser.add_argument('--tile-size', type=int,
                        help='noted for scenes, in pixels (default: 512)')
    parser.add_argument('--overlap', type=int,
                        help='noted for scenes (default: a quarter)')
    parser.add_argument('--threshold', type=float,
                        help='noted (default: of the model)')
    return parser.parse_args()


def main():
    args = parse_args()
    with cli.clear_errors():
        report = export(
            args.model,
            args.out,
            args.weights,
            tile_size=args.tile_size,
            overlap=args.overlap,
            threshold=args.threshold)
    for (count, height, width), error in report.errors.items():
        print_log(f'{count} x {height} x {width}: logits differ from torch '
                  f'by {error:.1e}', logger='current')
    print_log(f'written to {report.path}', logger='current')


if __name__ == '__main__':
    main()
