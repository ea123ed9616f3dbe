"""Geometry: every image of a sample and its label move together.

Labels are never interpolated, and what comes in from outside of an image is
labelled 255, which losses and metrics ignore.
"""
from typing import Optional, Sequence, Tuple, Union

import mmcv
import numpy as np
from mmcv.transforms import RandomFlip, RandomResize
from mmcv.transforms.utils import cache_randomness

from opencd_gold.registry import TRANSFORMS

from .base import (
    MultiImgTransform,
    ascending,
    by_bands,
    check_same_size,
    probability,
)

Size = Union[int, Sequence[int]]
_DIRECTIONS = ('horizontal', 'vertical', 'diagonal')


def _pair(size: Size, name: str) -> Tuple[int, int]:
    """Turn one number into two, and check them."""
    pair = (size, size) if isinstance(size, int) else tuple(size)
    if len(pair) != 2 or min(pair) <= 0:
        raise ValueError(f'{name} must be one or two numbers above 0, found '
                         f'{size!r}')
    return pair


@TRANSFORMS.register_module()
class MultiImgResize(MultiImgTransform):
    """Resize the images, and the label where it is loaded already.

    Required keys: ``img``. Modified keys: ``img``, those in ``seg_fields``,
    ``img_shape``. Added keys: ``scale``, ``scale_factor`` (width, height),
    ``keep_ratio``.

    Args:
        scale (int | tuple[int, int], optional): ``(width, height)``; with
            ``keep_ratio`` the image fits into it, whichever way it lies.
        scale_factor (float | tuple[float, float], optional): Instead of
            ``scale``, factors of width and height.
        keep_ratio (bool): Whether to keep width / height. Default: False.
        interpolation (str): For images; labels take the nearest pixel.
            Default: ``'bilinear'``.
        backend (str): ``'cv2'`` only; accepted for the sake of Open-CD.

    Raises:
        ValueError: Unless exactly one of ``scale`` and ``scale_factor`` is
            given.
    """

    def __init__(self,
                 scale: Optional[Size] = None,
                 scale_factor: Union[float, Sequence[float], None] = None,
                 keep_ratio: bool = False,
                 interpolation: str = 'bilinear',
                 backend: str = 'cv2') -> None:
        if (scale is None) == (scale_factor is None):
            raise ValueError('expected one of scale and scale_factor, found '
                             f'scale={scale}, scale_factor={scale_factor}')
        if backend != 'cv2':
            raise ValueError(f"backend must be 'cv2', found {backend!r}")
        self.scale = (scale, scale) if isinstance(scale, int) else scale
        if isinstance(scale_factor, (int, float)):
            scale_factor = (scale_factor, scale_factor)
        self.scale_factor = scale_factor
        self.keep_ratio = keep_ratio
        self.interpolation = interpolation

    def _target(self, width: int, height: int) -> Tuple[int, int]:
        """Width and height after resizing."""
        if self.scale is None:
            return (max(1, round(width * self.scale_factor[0])),
                    max(1, round(height * self.scale_factor[1])))
        if self.keep_ratio:
            return mmcv.rescale_size((width, height), tuple(self.scale))
        return tuple(self.scale)

    def transform(self, results: dict) -> dict:
        """Resize one sample."""
        check_same_size(results)
        height, width = results['img'][0].shape[:2]
        target = self._target(width, height)
        if target != (width, height):
            self.map_images(
                results, lambda image: by_bands(
                    image, lambda bands: mmcv.imresize(
                        bands, target, interpolation=self.interpolation)))
            self.map_labels(
                results, lambda label: mmcv.imresize(
                    label, target, interpolation='nearest'))
        self.set_shape(results)
        results['scale'] = target
        results['scale_factor'] = (target[0] / width, target[1] / height)
        results['keep_ratio'] = self.keep_ratio
        return results

    def __repr__(self) -> str:
        """Name the arguments."""
        return (f'{type(self).__name__}(scale={self.scale}, '
                f'scale_factor={self.scale_factor}, '
                f'keep_ratio={self.keep_ratio}, '
                f'interpolation={self.interpolation!r})')


@TRANSFORMS.register_module()
class MultiImgRandomResize(RandomResize):
    """Resize to a scale drawn anew for every sample.

    Args:
        scale (tuple[int, int] | Sequence[tuple[int, int]]): ``(width,
            height)`` to be multiplied by a factor out of ``ratio_range``, or
            the two ends between which width and height are drawn.
        ratio_range (tuple[float, float], optional): Default: None.
        keep_ratio (bool): As in :class:`MultiImgResize`. Default: False.
        interpolation (str): As in :class:`MultiImgResize`.
            Default: ``'bilinear'``.
    """

    def __init__(self,
                 scale: Union[Sequence[int], Sequence[Sequence[int]]],
                 ratio_range: Optional[Sequence[float]] = None,
                 keep_ratio: bool = False,
                 interpolation: str = 'bilinear') -> None:
        scale = tuple(scale) if isinstance(scale[0], int) else [
            tuple(end) for end in scale
        ]
        if ratio_range is not None:
            ratio_range = ascending(ratio_range, 'ratio_range', 0)
        if isinstance(scale[0], int) == (ratio_range is None):
            raise ValueError(
                'expected one scale (width, height) with ratio_range, or '
                f'two scales without; found scale={scale}, '
                f'ratio_range={ratio_range}')
        super().__init__(
            scale,
            ratio_range,
            resize_type='opencd_gold.MultiImgResize',
            keep_ratio=keep_ratio,
            interpolation=interpolation)


@TRANSFORMS.register_module()
class MultiImgRandomCrop(MultiImgTransform):
    """Crop a random window out of all images and the label.

    The windows are views; nothing is copied. An image smaller than the
    window is left as large as it is, for the data preprocessor to pad.

    Required keys: ``img`` and, with ``cat_max_ratio < 1``, ``gt_seg_map``.
    Modified keys: ``img``, those in ``seg_fields``, ``img_shape``.

    Args:
        crop_size (int | tuple[int, int]): ``(height, width)``.
        cat_max_ratio (float): Up to ten windows are tried until no class
            covers this share of the pixels that are not ignored.
            Default: 1, the first window is taken.
        ignore_index (int): Label of ignored pixels. Default: 255.
    """

    tries = 10

    def __init__(self,
                 crop_size: Size,
                 cat_max_ratio: float = 1.,
                 ignore_index: int = 255) -> None:
        self.crop_size = _pair(crop_size, 'crop_size')
        self.cat_max_ratio = probability(cat_max_ratio, 'cat_max_ratio')
        self.ignore_index = ignore_index

    def _window(self, height: int, width: int) -> Tuple[slice, slice]:
        """Draw a window."""
        top = np.random.randint(max(height - self.crop_size[0], 0) + 1)
        left = np.random.randint(max(width - self.crop_size[1], 0) + 1)
        return (slice(top, top + self.crop_size[0]),
                slice(left, left + self.crop_size[1]))

    def _is_mixed(self, label: np.ndarray) -> bool:
        """Whether no class is more frequent than allowed."""
        counts = np.bincount(label.ravel(), minlength=256)
        counts[self.ignore_index] = 0
        total = counts.sum()
        return total > 0 and counts.max() < self.cat_max_ratio * total

    @cache_randomness
    def _choose(self, results: dict) -> Tuple[slice, slice]:
        """Draw windows until one is mixed enough."""
        size = results['img'][0].shape[:2]
        window = self._window(*size)
        if self.cat_max_ratio < 1:
            if 'gt_seg_map' not in results:
                raise ValueError(
                    'MultiImgRandomCrop with cat_max_ratio='
                    f'{self.cat_max_ratio} needs the label: expected '
                    'MultiImgLoadAnnotations before it')
            for _ in range(self.tries):
                if self._is_mixed(results['gt_seg_map'][window]):
                    break
                window = self._window(*size)
        return window

    def transform(self, results: dict) -> dict:
        """Crop one sample."""
        check_same_size(results)
        window = self._choose(results)
        self.map_images(results, lambda image: image[window])
        self.map_labels(results, lambda label: label[window])
        self.set_shape(results)
        return results

    def __repr__(self) -> str:
        """Name the arguments."""
        return (f'{type(self).__name__}(crop_size={self.crop_size}, '
                f'cat_max_ratio={self.cat_max_ratio})')


@TRANSFORMS.register_module()
class MultiImgRandomFlip(RandomFlip):
    """Flip all images and the label.

    ``flip`` and ``flip_direction`` tell what has happened to the sample, so
    that a prediction can be turned back; two flips in one pipeline add up
    (horizontal and vertical make diagonal).

    Args:
        prob (float | list[float]): Probability, or one for each direction.
        direction (str | list[str]): ``'horizontal'``, ``'vertical'``,
            ``'diagonal'`` (both). One probability for several directions is
            shared out. Default: ``'horizontal'``.
    """

    def __init__(self,
                 prob: Union[float, Sequence[float]],
                 direction: Union[str, Sequence[str]] = 'horizontal') -> None:
        single = isinstance(prob, (int, float))
        names = [direction] if isinstance(direction, str) else list(direction)
        if not names or not set(names) <= set(_DIRECTIONS):
            raise ValueError(f'direction must be some of {_DIRECTIONS}, '
                             f'found {direction!r}')
        probs = [prob] if single else list(prob)
        if min(probs) < 0 or sum(probs) > 1 or not (
                single or len(probs) == len(names)):
            raise ValueError(
                'prob must be one number from 0 to 1, or one for each '
                f'direction {names} with a sum up to 1; found {prob!r}')
        super().__init__(
            prob=float(prob) if single else probs,
            direction=direction if isinstance(direction, str) else names)

    @staticmethod
    def _combine(first: Optional[str], second: Optional[str]
                 ) -> Optional[str]:
        """Name the flip that two flips make together."""
        axes = set()
        for name in (first, second):
            axes ^= {
                None: set(),
                'horizontal': {'horizontal'},
                'vertical': {'vertical'},
                'diagonal': {'horizontal', 'vertical'}
            }[name]
        return 'diagonal' if len(axes) == 2 else next(iter(axes), None)

    def transform(self, results: dict) -> dict:
        """Flip one sample, or leave it."""
        check_same_size(results)
        direction = self._choose_direction()
        if direction is not None:
            results['img'] = [
                mmcv.imflip(image, direction) for image in results['img']
            ]
            for key in results.get('seg_fields', ()):
                results[key] = mmcv.imflip(results[key], direction)
        total = self._combine(results.get('flip_direction'), direction)
        results['flip'] = total is not None
        results['flip_direction'] = total
        return results


def _rotate(transform: MultiImgTransform, results: dict, degree: float,
            pad_val: float, seg_pad_val: int, **kwargs) -> None:
    """Rotate all images (bilinear) and labels (nearest), clockwise."""

    def turn(pixels, value, **how):
        value = (value, ) * 4 if pixels.ndim == 3 else value
        return mmcv.imrotate(
            pixels, angle=degree, border_value=value, **how, **kwargs)

    transform.map_images(
        results,
        lambda image: by_bands(image, lambda bands: turn(bands, pad_val)))
    transform.map_labels(
        results,
        lambda label: turn(label, seg_pad_val, interpolation='nearest'))
    transform.set_shape(results)


def _degrees(degree: Union[float, Sequence[float]]) -> Tuple[float, float]:
    """Turn one angle into a range around 0, and check it."""
    if isinstance(degree, (int, float)):
        if degree <= 0:
            raise ValueError(f'degree must be above 0, found {degree}')
        return -degree, degree
    return ascending(degree, 'degree')


@TRANSFORMS.register_module()
class MultiImgRandomRotate(MultiImgTransform):
    """Rotate all images and the label by any angle.

    Args:
        prob (float): Probability.
        degree (float | tuple[float, float]): Range of the angle in degrees,
            clockwise; one number means minus it to plus it.
        pad_val (float): Value of the corners of images. Default: 0.
        seg_pad_val (int): Label of the corners. Default: 255, ignored.
        center (tuple[float, float], optional): Column and row of the centre.
            Default: None, that of the image.
        auto_bound (bool): Whether the image grows so that nothing is cut
            off. Default: False.
    """

    def __init__(self,
                 prob: float,
                 degree: Union[float, Sequence[float]],
                 pad_val: float = 0,
                 seg_pad_val: int = 255,
                 center: Optional[Sequence[float]] = None,
                 auto_bound: bool = False) -> None:
        self.prob = probability(prob)
        self.degree = _degrees(degree)
        self.pad_val = pad_val
        self.seg_pad_val = seg_pad_val
        self.center = None if center is None else tuple(center)
        self.auto_bound = auto_bound

    @cache_randomness
    def _draw(self) -> Tuple[bool, float]:
        """Draw whether to rotate, and how far."""
        return np.random.rand() < self.prob, np.random.uniform(*self.degree)

    def transform(self, results: dict) -> dict:
        """Rotate one sample, or leave it."""
        check_same_size(results)
        turn, degree = self._draw()
        if turn:
            _rotate(
                self,
                results,
                degree,
                self.pad_val,
                self.seg_pad_val,
                center=self.center,
                auto_bound=self.auto_bound)
        return results

    def __repr__(self) -> str:
        """Name the arguments."""
        return (f'{type(self).__name__}(prob={self.prob}, '
                f'degree={self.degree}, pad_val={self.pad_val}, '
                f'seg_pad_val={self.seg_pad_val}, center={self.center}, '
                f'auto_bound={self.auto_bound})')


@TRANSFORMS.register_module()
class MultiImgRandomRotFlip(MultiImgTransform):
    """Rotate by a small angle, or turn by quarters and flip.

    With ``rotate_prob`` the sample is rotated by an angle out of ``degree``;
    otherwise, with ``flip_prob``, it gets one of the eight positions of a
    square, each as likely (where Open-CD always mirrors, which leaves out
    the three pure turns). An image that is not square is only turned by 180
    degrees. Nothing is interpolated in the second case.

    Args:
        rotate_prob (float): Default: 0.5.
        flip_prob (float): Default: 0.5.
        degree (float | tuple[float, float]): As in
            :class:`MultiImgRandomRotate`. Default: 20.
        pad_val (float): Value of the corners of images. Default: 0.
        seg_pad_val (int): Label of the corners. Default: 255, ignored.
    """

    def __init__(self,
                 rotate_prob: float = 0.5,
                 flip_prob: float = 0.5,
                 degree: Union[float, Sequence[float]] = 20,
                 pad_val: float = 0,
                 seg_pad_val: int = 255) -> None:
        self.rotate_prob = probability(rotate_prob, 'rotate_prob')
        self.flip_prob = probability(flip_prob, 'flip_prob')
        self.degree = _degrees(degree)
        self.pad_val = pad_val
        self.seg_pad_val = seg_pad_val

    @cache_randomness
    def _draw(self, square: bool) -> Tuple[Optional[float], int, bool]:
        """Draw an angle, or quarter turns and a mirror."""
        if np.random.rand() < self.rotate_prob:
            return np.random.uniform(*self.degree), 0, False
        if np.random.rand() >= self.flip_prob:
            return None, 0, False
        quarters = np.random.randint(4)
        return None, quarters if square else 2 * (quarters % 2), bool(
            np.random.randint(2))

    def transform(self, results: dict) -> dict:
        """Turn one sample, or leave it."""
        check_same_size(results)
        height, width = results['img'][0].shape[:2]
        degree, quarters, mirror = self._draw(height == width)
        if degree is not None:
            _rotate(self, results, degree, self.pad_val, self.seg_pad_val)
            return results

        def place(pixels):
            pixels = np.rot90(pixels, quarters)
            return pixels[:, ::-1] if mirror else pixels

        self.map_images(results, place)
        self.map_labels(results, place)
        return results

    def __repr__(self) -> str:
        """Name the arguments."""
        return (f'{type(self).__name__}(rotate_prob={self.rotate_prob}, '
                f'flip_prob={self.flip_prob}, degree={self.degree})')


@TRANSFORMS.register_module()
class MultiImgPad(MultiImgTransform):
    """Pad all images and the label at the right and at the bottom.

    Added keys: ``pad_shape`` (height, width).

    Args:
        size (tuple[int, int], optional): ``(width, height)`` to pad to.
        size_divisor (int, optional): Instead of ``size``: what both sides
            shall be a multiple of.
        pad_to_square (bool): Instead of both: whether to pad to the longer
            side. Default: False.
        pad_val (float | dict): Value of images, or ``dict(img=, seg=)``.
            Default: 0 for images, 255 for labels.

    Raises:
        ValueError: Unless exactly one of the three is given, or if an image
            is larger than ``size``.
    """

    def __init__(self,
                 size: Optional[Sequence[int]] = None,
                 size_divisor: Optional[int] = None,
                 pad_to_square: bool = False,
                 pad_val: Union[float, dict, None] = None) -> None:
        given = size is not None, size_divisor is not None, pad_to_square
        if sum(given) != 1:
            raise ValueError(
                'expected one of size, size_divisor and pad_to_square, found '
                f'size={size}, size_divisor={size_divisor}, '
                f'pad_to_square={pad_to_square}')
        self.size = None if size is None else _pair(size, 'size')
        self.size_divisor = size_divisor
        self.pad_to_square = pad_to_square
        values = pad_val if isinstance(pad_val, dict) else dict(
            img=0 if pad_val is None else pad_val)
        if not set(values) <= {'img', 'seg'}:
            raise ValueError('pad_val may have the keys img and seg, found '
                             f'{sorted(values)}')
        self.pad_val = dict(img=0, seg=255) | values

    def _target(self, height: int, width: int) -> Tuple[int, int]:
        """Height and width after padding."""
        if self.size is not None:
            return self.size[1], self.size[0]
        if self.pad_to_square:
            return (max(height, width), ) * 2
        return tuple(-(-side // self.size_divisor) * self.size_divisor
                     for side in (height, width))

    def transform(self, results: dict) -> dict:
        """Pad one sample."""
        check_same_size(results)
        height, width = results['img'][0].shape[:2]
        target = self._target(height, width)
        bottom, right = target[0] - height, target[1] - width
        if bottom < 0 or right < 0:
            raise ValueError(
                f'an image of {height} x {width} cannot be padded to '
                f'{target[0]} x {target[1]} (height x width)')
        if bottom or right:
            border = ((0, bottom), (0, right))
            self.map_images(
                results, lambda image: np.pad(
                    image, border + ((0, 0), ),
                    constant_values=self.pad_val['img']))
            self.map_labels(
                results, lambda label: np.pad(
                    label, border, constant_values=self.pad_val['seg']))
            self.set_shape(results)
        results['pad_shape'] = target
        return results

    def __repr__(self) -> str:
        """Name the arguments."""
        return (f'{type(self).__name__}(size={self.size}, '
                f'size_divisor={self.size_divisor}, '
                f'pad_to_square={self.pad_to_square}, '
                f'pad_val={self.pad_val})')


@TRANSFORMS.register_module()
class MultiImgExchangeTime(MultiImgTransform):
    """Exchange the two dates.

    Refused, when the data set is built, where the dates have different
    sensors, or a guide that belongs to the second date.

    Added keys: ``exchanged``, by which the data preprocessor normalises each
    image with its own statistics, whichever date it stands for.

    Args:
        prob (float): Probability. Default: 0.5.

    Raises:
        ValueError: If the dates cannot be exchanged.
    """

    def __init__(self, prob: float = 0.5) -> None:
        self.prob = probability(prob)

    def check_set(self, info: dict) -> None:
        """Refuse a set whose dates may not be exchanged.

        Args:
            info (dict): A sample with ``img_path`` and ``sensors``.
        """
        sensors = info.get('sensors') or ('optical', ) * len(info['img_path'])
        if self.prob > 0 and (len(sensors) != 2 or sensors[0] != sensors[1]):
            raise ValueError(
                f'MultiImgExchangeTime(prob={self.prob}): sensors='
                f'{tuple(sensors)}, expected two images of one sensor')

    @cache_randomness
    def _draw(self) -> bool:
        """Draw whether to exchange."""
        return np.random.rand() < self.prob

    def transform(self, results: dict) -> dict:
        """Exchange the dates of one sample, or leave them."""
        self.check_set(results)
        if self._draw():
            for key in ('img', 'img_path'):
                results[key] = results[key][::-1]
            results['exchanged'] = not results.get('exchanged', False)
        return results

    def __repr__(self) -> str:
        """Name the arguments."""
        return f'{type(self).__name__}(prob={self.prob})'
