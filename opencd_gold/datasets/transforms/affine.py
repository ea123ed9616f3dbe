"""Geometry of SGSLN's and HRMNet's recipes: affine, transpose, zoom."""
from typing import Optional, Sequence, Tuple, Union

import cv2
import mmcv
import numpy as np
from mmcv.transforms.utils import cache_randomness

from opencd_gold.registry import TRANSFORMS

from .base import (
    MultiImgTransform,
    ascending,
    by_bands,
    check_same_size,
    probability,
)


@TRANSFORMS.register_module()
class MultiImgRandomAffine(MultiImgTransform):
    """Rotate, scale and shift all images and the label on their canvas.

    Images are interpolated bilinearly, labels take the nearest pixel. The
    rotation is about the middle of the image.

    Args:
        prob (float): Probability.
        degree (float): Largest angle in degrees, either way. Default: 45.
        scale_range (tuple[float, float]): Factor of size. Default: (1, 1).
        shift (float): Largest shift, a share of each side, drawn for each
            axis. Default: 0.
        border (str): What comes in from outside: ``'reflect'`` mirrors
            images and label, as SGSLN's recipe does; ``'ignore'`` makes
            images 0 and the label 255. Default: ``'ignore'``.
        ignore_index (int): That label. Default: 255.

    Raises:
        ValueError: For another border, or a range that is none.
    """

    def __init__(self,
                 prob: float,
                 degree: float = 45,
                 scale_range: Sequence[float] = (1., 1.),
                 shift: float = 0.,
                 border: str = 'ignore',
                 ignore_index: int = 255) -> None:
        if border not in ('reflect', 'ignore'):
            raise ValueError("border must be 'reflect' or 'ignore', found "
                             f'{border!r}')
        if degree < 0 or not 0 <= shift < 1:
            raise ValueError('degree must be 0 or more and shift a share from '
                             f'0 to below 1, found {degree} and {shift}')
        self.prob = probability(prob)
        self.degree = degree
        self.scale_range = ascending(scale_range, 'scale_range', 0)
        self.shift = shift
        self.border = border
        self.ignore_index = ignore_index

    @cache_randomness
    def _draw(self) -> Tuple[bool, float, float, Tuple[float, float]]:
        """Draw whether to warp, angle, scale and the two shifts."""
        return (np.random.rand() < self.prob,
                np.random.uniform(-self.degree, self.degree),
                np.random.uniform(*self.scale_range),
                tuple(np.random.uniform(-self.shift, self.shift, 2)))

    @staticmethod
    def matrix(height: int, width: int, degree: float, scale: float,
               shift: Tuple[float, float]) -> np.ndarray:
        """Where pixels go, ``(2, 3)``; degrees counter-clockwise."""
        matrix = cv2.getRotationMatrix2D(
            (width / 2 - 0.5, height / 2 - 0.5), degree, scale)
        matrix[:, 2] += np.multiply(shift, (width, height))
        return matrix

    def transform(self, results: dict) -> dict:
        """Warp one sample, or leave it."""
        check_same_size(results)
        chosen, degree, scale, shift = self._draw()
        if not chosen:
            return results
        height, width = results['img'][0].shape[:2]
        matrix = self.matrix(height, width, degree, scale, shift)
        mode = (cv2.BORDER_REFLECT_101
                if self.border == 'reflect' else cv2.BORDER_CONSTANT)

        def warp(pixels, flags, value):
            return cv2.warpAffine(
                pixels, matrix, (width, height), flags=flags,
                borderMode=mode, borderValue=value)

        self.map_images(
            results, lambda image: by_bands(
                image, lambda bands: warp(bands, cv2.INTER_LINEAR, 0)))
        self.map_labels(
            results,
            lambda label: warp(label, cv2.INTER_NEAREST, self.ignore_index))
        return results

    def __repr__(self) -> str:
        """Name the arguments."""
        return (f'{type(self).__name__}(prob={self.prob}, '
                f'degree={self.degree}, scale_range={self.scale_range}, '
                f'shift={self.shift}, border={self.border!r})')


@TRANSFORMS.register_module()
class MultiImgRandomTranspose(MultiImgTransform):
    """Swap rows and columns of all images and the label.

    Args:
        prob (float): Probability. Default: 0.5.
    """

    def __init__(self, prob: float = 0.5) -> None:
        self.prob = probability(prob)

    @cache_randomness
    def _draw(self) -> bool:
        """Draw whether to transpose."""
        return np.random.rand() < self.prob

    def transform(self, results: dict) -> dict:
        """Transpose one sample, or leave it."""
        check_same_size(results)
        if self._draw():
            self.map_images(results, lambda image: image.swapaxes(0, 1))
            self.map_labels(results, lambda label: label.T)
            self.set_shape(results)
        return results

    def __repr__(self) -> str:
        """Name the arguments."""
        return f'{type(self).__name__}(prob={self.prob})'


@TRANSFORMS.register_module()
class MultiImgRandomZoom(MultiImgTransform):
    """Cut the same off opposite sides, and resize to what it was.

    The zoom of HRMNet's recipe, which cuts up to 60 of 512 pixels off either
    side, columns and rows each by their own draw.

    Args:
        prob (float): Probability. Default: 0.5.
        max_share (float): Largest share of a side that is cut off at either
            end, below 0.5. Default: 60 / 512.

    Raises:
        ValueError: If nothing would be left.
    """

    def __init__(self,
                 prob: float = 0.5,
                 max_share: Union[int, float] = 60 / 512) -> None:
        if not 0 <= max_share < 0.5:
            raise ValueError('max_share must be from 0 to below 0.5, found '
                             f'{max_share}')
        self.prob = probability(prob)
        self.max_share = max_share

    @cache_randomness
    def _draw(self, height: int, width: int) -> Optional[Tuple[int, int]]:
        """Draw the rows and columns to cut off, or None."""
        if np.random.rand() >= self.prob:
            return None
        return tuple(
            np.random.randint(int(side * self.max_share) + 1)
            for side in (height, width))

    def transform(self, results: dict) -> dict:
        """Zoom into one sample, or leave it."""
        check_same_size(results)
        height, width = results['img'][0].shape[:2]
        cut = self._draw(height, width)
        if cut is None:
            return results
        window = (slice(cut[0], height - cut[0]),
                  slice(cut[1], width - cut[1]))

        def resize(pixels, interpolation):
            return mmcv.imresize(
                pixels, (width, height), interpolation=interpolation)

        self.map_images(
            results, lambda image: by_bands(
                image[window], lambda bands: resize(bands, 'bilinear')))
        self.map_labels(
            results, lambda label: resize(
                np.ascontiguousarray(label[window]), 'nearest'))
        return results

    def __repr__(self) -> str:
        """Name the arguments."""
        return (f'{type(self).__name__}(prob={self.prob}, '
                f'max_share={self.max_share})')
