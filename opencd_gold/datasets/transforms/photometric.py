"""Light and focus: changes of optical images that are not change."""
from typing import List, Sequence

import cv2
import numpy as np
from PIL import Image, ImageEnhance

from opencd_gold.registry import TRANSFORMS

from .base import SensorTransform, as_type, ascending, by_bands, probability


def full_scale(image: np.ndarray) -> float:
    """Largest value of an integer type; 255 for float images."""
    if image.dtype.kind in 'ui':
        return float(np.iinfo(image.dtype).max)
    return 255.


@TRANSFORMS.register_module()
class MultiImgPhotoMetricDistortion(SensorTransform):
    """Distort brightness, contrast, saturation and hue of optical images.

    Each of the four is applied with probability 0.5, contrast before or
    after the colours. Saturation and hue are for images of three bands.
    8-bit images are distorted by a table of 256 values; the type of every
    image is kept.

    Args:
        brightness_delta (float): Largest offset, in units of 1/255 of the
            range of the type. Default: 32.
        contrast_range (tuple[float, float]): Factor. Default: (0.5, 1.5).
        saturation_range (tuple[float, float]): Factor. Default: (0.5, 1.5).
        hue_delta (int): Largest turn in steps of 2 degrees. Default: 18.
        shared (bool): Whether all optical images of a sample get the same
            distortion. Default: False, each its own.
        sensors (Sequence[str]): Which images. Default: ``('optical', )``.
    """

    def __init__(self,
                 brightness_delta: float = 32,
                 contrast_range: Sequence[float] = (0.5, 1.5),
                 saturation_range: Sequence[float] = (0.5, 1.5),
                 hue_delta: int = 18,
                 shared: bool = False,
                 sensors: Sequence[str] = ('optical', )) -> None:
        super().__init__(sensors)
        if brightness_delta < 0 or not 0 <= hue_delta <= 90:
            raise ValueError(
                'brightness_delta must be 0 or more and hue_delta from 0 to '
                f'90, found {brightness_delta} and {hue_delta}')
        self.brightness_delta = brightness_delta
        self.contrast_range = ascending(contrast_range, 'contrast_range', 0)
        self.saturation_range = ascending(saturation_range,
                                          'saturation_range', 0)
        self.hue_delta = hue_delta
        self.shared = shared

    def _draw(self) -> List[tuple]:
        """Draw the steps of one distortion, in order."""
        on = np.random.rand(4) < 0.5
        brightness = np.random.uniform(-self.brightness_delta,
                                       self.brightness_delta)
        contrast = np.random.uniform(*self.contrast_range)
        saturation = np.random.uniform(*self.saturation_range)
        hue = np.random.randint(-self.hue_delta, self.hue_delta + 1)
        first = np.random.rand() < 0.5
        steps = []
        if on[0]:
            steps.append(('linear', 1., brightness))
        if on[1] and first:
            steps.append(('linear', contrast, 0.))
        if on[2] or on[3]:
            steps.append(('color', saturation if on[2] else 1.,
                          hue if on[3] else 0))
        if on[1] and not first:
            steps.append(('linear', contrast, 0.))
        return steps

    @staticmethod
    def _linear(image: np.ndarray, factor: float,
                offset: float) -> np.ndarray:
        """Multiply and add, within the range of the type."""
        scale = full_scale(image)
        offset = offset * scale / 255
        if image.dtype == np.uint8:
            table = np.arange(256, dtype=np.float32) * factor + offset
            return by_bands(
                image, lambda bands: cv2.LUT(bands, as_type(table, np.uint8)))
        values = image.astype(np.float32) * factor + offset
        return as_type(np.clip(values, 0, scale), image.dtype)

    @staticmethod
    def _color(image: np.ndarray, saturation: float, hue: int,
               order: str) -> np.ndarray:
        """Change saturation and hue of an image of three bands."""
        if image.shape[2] != 3:
            return image
        there, back = ((cv2.COLOR_RGB2HSV, cv2.COLOR_HSV2RGB)
                       if order == 'rgb' else
                       (cv2.COLOR_BGR2HSV, cv2.COLOR_HSV2BGR))
        if image.dtype == np.uint8:
            hsv = cv2.cvtColor(np.ascontiguousarray(image), there)
            levels = np.arange(256)
            tables = np.stack([(levels + hue) % 180,
                               as_type(levels * saturation, np.uint8),
                               levels], axis=-1).astype(np.uint8)
            return cv2.cvtColor(cv2.LUT(hsv, tables[None]), back)
        scale = full_scale(image)
        hsv = cv2.cvtColor(image.astype(np.float32) / scale, there)
        hsv[..., 0] = (hsv[..., 0] + 2 * hue) % 360
        hsv[..., 1] = np.clip(hsv[..., 1] * saturation, 0, 1)
        return as_type(cv2.cvtColor(hsv, back) * scale, image.dtype)

    def _distort(self, image: np.ndarray, steps: List[tuple],
                 order: str) -> np.ndarray:
        """Apply the steps to one image."""
        for kind, first, second in steps:
            if kind == 'linear':
                image = self._linear(image, first, second)
            else:
                image = self._color(image, first, second, order)
        return image

    def transform(self, results: dict) -> dict:
        """Distort the optical images of one sample."""
        order = results.get('color_order', 'bgr')
        places = self.places(results)
        shared = self._draw() if self.shared and places else None
        return self.replace(
            results,
            lambda image: self._distort(
                image, self._draw() if shared is None else shared, order),
            places)

    def __repr__(self) -> str:
        """Name the arguments."""
        return (f'{type(self).__name__}('
                f'brightness_delta={self.brightness_delta}, '
                f'contrast_range={self.contrast_range}, '
                f'saturation_range={self.saturation_range}, '
                f'hue_delta={self.hue_delta}, shared={self.shared}, '
                f'sensors={self.sensors})')


@TRANSFORMS.register_module()
class MultiImgColorJitter(SensorTransform):
    """Brightness, contrast, saturation and hue by factors, in random order.

    The colour jitter of torchvision, by the same functions of Pillow, which
    HeteCD and the later variant of GOLD train with. Contrast moves the values
    from or to the mean of the image, not to zero. Images of 8 bits with one
    band, whose saturation and hue stay, or three.

    Args:
        brightness (float): Factors are drawn from ``1 - brightness`` to ``1 +
            brightness``. Default: 0.3.
        contrast (float): Likewise. Default: 0.3.
        saturation (float): Likewise. Default: 0.3.
        hue (float): Largest turn, in circles, from 0 to 0.5. Default: 0.1.
        prob (float): Probability of a sample to be changed. Default: 1.
        shared (bool): Whether all images of a sample that are meant get the
            same factors in the same order. Default: False, each its own.
        sensors (Sequence[str]): Which images. Default: ``('optical', )``.

    Raises:
        ValueError: For an option out of its range, or for an image of
            another type or number of bands.
    """

    def __init__(self,
                 brightness: float = 0.3,
                 contrast: float = 0.3,
                 saturation: float = 0.3,
                 hue: float = 0.1,
                 prob: float = 1.,
                 shared: bool = False,
                 sensors: Sequence[str] = ('optical', )) -> None:
        super().__init__(sensors)
        self.brightness = probability(brightness, 'brightness')
        self.contrast = probability(contrast, 'contrast')
        self.saturation = probability(saturation, 'saturation')
        if not 0 <= hue <= 0.5:
            raise ValueError(f'hue must be from 0 to 0.5, found {hue}')
        self.hue = hue
        self.prob = probability(prob)
        self.shared = shared

    def _draw(self) -> List[tuple]:
        """Draw the steps of one distortion, in order."""
        steps = [('hue', np.random.uniform(-self.hue, self.hue))]
        for name in ('Brightness', 'Contrast', 'Color'):
            width = self.saturation if name == 'Color' else getattr(
                self, name.lower())
            steps.append((name, np.random.uniform(1 - width, 1 + width)))
        return [steps[i] for i in np.random.permutation(len(steps))]

    @staticmethod
    def _distort(image: np.ndarray, steps: List[tuple],
                 order: str) -> np.ndarray:
        """Apply the steps to one image."""
        bands = image.shape[2]
        if image.dtype != np.uint8 or bands not in (1, 3):
            raise ValueError(
                'MultiImgColorJitter: expected images of 8 bits with 1 or 3 '
                f'bands, found {image.dtype} with {bands}; '
                'MultiImgPhotoMetricDistortion takes others')
        if bands == 1:
            picture = Image.fromarray(image[..., 0])
        else:
            picture = Image.fromarray(
                np.ascontiguousarray(image if order == 'rgb' else
                                     image[..., ::-1]))
        for name, value in steps:
            if name != 'hue':
                picture = getattr(ImageEnhance, name)(picture).enhance(value)
            elif bands == 3:
                tone, *others = picture.convert('HSV').split()
                tone = np.array(tone) + np.int64(value * 255).astype(np.uint8)
                picture = Image.merge(
                    'HSV', (Image.fromarray(tone), *others)).convert('RGB')
        image = np.array(picture)
        if bands == 1:
            return image[..., None]
        return image if order == 'rgb' else np.ascontiguousarray(
            image[..., ::-1])

    def transform(self, results: dict) -> dict:
        """Distort one sample, or leave it."""
        if np.random.rand() >= self.prob:
            return results
        order = results.get('color_order', 'bgr')
        shared = self._draw()
        return self.replace(
            results, lambda image: self._distort(
                image, shared if self.shared else self._draw(), order))

    def __repr__(self) -> str:
        """Name the arguments."""
        return (f'{type(self).__name__}(brightness={self.brightness}, '
                f'contrast={self.contrast}, saturation={self.saturation}, '
                f'hue={self.hue}, prob={self.prob}, shared={self.shared}, '
                f'sensors={self.sensors})')


@TRANSFORMS.register_module()
class MultiImgGaussianBlur(SensorTransform):
    """Blur images with a Gaussian of random width.

    Args:
        prob (float): Probability. Default: 0.5.
        sigma (tuple[float, float]): Range of the standard deviation in
            pixels. Default: (0.1, 1.0).
        shared (bool): Whether all images of a sample get the same width.
            Default: True.
        sensors (Sequence[str]): Which images. Default: ``('optical', )``.
    """

    def __init__(self,
                 prob: float = 0.5,
                 sigma: Sequence[float] = (0.1, 1.0),
                 shared: bool = True,
                 sensors: Sequence[str] = ('optical', )) -> None:
        super().__init__(sensors)
        self.prob = probability(prob)
        self.sigma = ascending(sigma, 'sigma', 0)
        self.shared = shared

    def _blur(self, image: np.ndarray, sigma: float) -> np.ndarray:
        """Blur one image."""
        if sigma == 0:
            return image
        return by_bands(
            image, lambda bands: cv2.GaussianBlur(bands, (0, 0), sigma))

    def transform(self, results: dict) -> dict:
        """Blur one sample, or leave it."""
        if np.random.rand() >= self.prob:
            return results
        shared = np.random.uniform(*self.sigma)
        return self.replace(
            results, lambda image: self._blur(
                image, shared
                if self.shared else np.random.uniform(*self.sigma)))

    def __repr__(self) -> str:
        """Name the arguments."""
        return (f'{type(self).__name__}(prob={self.prob}, '
                f'sigma={self.sigma}, shared={self.shared}, '
                f'sensors={self.sensors})')
