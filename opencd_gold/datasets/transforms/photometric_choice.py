"""One photometric change out of several, the same for both dates."""
from typing import Callable, Dict, Sequence

import cv2
import numpy as np

from opencd_gold.registry import TRANSFORMS

from .base import SensorTransform, as_type, by_bands, probability
from .photometric import full_scale

Change = Callable[[np.ndarray, str], np.ndarray]


def _clip(values: np.ndarray, image: np.ndarray) -> np.ndarray:
    """Values within the range of an image, in its type."""
    return as_type(np.clip(values, 0, full_scale(image)), image.dtype)


def gaussian_noise() -> Change:
    """Noise of variance 10 to 50 (of 0 to 255), one field for all images."""
    sigma = np.sqrt(np.random.uniform(10, 50))
    seed = np.random.randint(2**31)

    def change(image, order):
        # Images of one shape get the very same field.
        field = np.random.default_rng(seed).normal(0, sigma, image.shape)
        return _clip(image + field * (full_scale(image) / 255), image)

    return change


def hue_saturation_value() -> Change:
    """Add to hue (up to 40 degrees), saturation (30), value (20 of 255)."""
    hue, saturation, value = (
        np.random.uniform(-limit, limit) for limit in (20, 30, 20))

    def change(image, order):
        if image.shape[2] != 3:
            return image
        there, back = ((cv2.COLOR_RGB2HSV, cv2.COLOR_HSV2RGB)
                       if order == 'rgb' else
                       (cv2.COLOR_BGR2HSV, cv2.COLOR_HSV2BGR))
        scale = full_scale(image)
        hsv = cv2.cvtColor(image.astype(np.float32) / scale, there)
        hsv[..., 0] = (hsv[..., 0] + 2 * hue) % 360
        hsv[..., 1:] += np.float32([saturation, value]) / 255
        hsv[..., 1:] = hsv[..., 1:].clip(0, 1)
        return _clip(cv2.cvtColor(hsv, back) * scale, image)

    return change


def brightness_contrast() -> Change:
    """``v (1 + c) + 255 b`` with c and b up to 0.2 either way."""
    contrast, brightness = np.random.uniform(-0.2, 0.2, 2)

    def change(image, order):
        offset = brightness * full_scale(image)
        return _clip(
            image.astype(np.float32) * (1 + contrast) + offset, image)

    return change


def gamma() -> Change:
    """``255 (v / 255)^g`` with g from 0.8 to 1.2."""
    exponent = np.random.randint(80, 121) / 100

    def change(image, order):
        scale = full_scale(image)
        share = image.astype(np.float32).clip(0, scale) / scale
        return _clip(share**exponent * scale, image)

    return change


def _filter(kernel: np.ndarray) -> Change:

    def change(image, order):
        return by_bands(image, lambda bands: cv2.filter2D(bands, -1, kernel))

    return change


def emboss() -> Change:
    """The image mixed with its relief, lit from the upper left."""
    alpha, s = np.random.uniform(0.2, 0.5), np.random.uniform(0.2, 0.7)
    relief = np.array([[-1 - s, -s, 0], [-s, 1, s], [0, s, 1 + s]])
    identity = np.zeros((3, 3))
    identity[1, 1] = 1
    return _filter(
        ((1 - alpha) * identity + alpha * relief).astype(np.float32))


def motion_blur() -> Change:
    """Mean along a straight line in a square of 3 to 7 pixels."""
    size = 2 * np.random.randint(1, 4) + 1
    first, last = np.random.choice(size * size, 2, replace=False)
    kernel = np.zeros((size, size), np.uint8)
    ends = [(int(at % size), int(at // size)) for at in (first, last)]
    cv2.line(kernel, *ends, 1)
    return _filter(kernel.astype(np.float32) / kernel.sum())


CHANGES: Dict[str, Callable[[], Change]] = {
    'gaussian_noise': gaussian_noise,
    'hue_saturation_value': hue_saturation_value,
    'brightness_contrast': brightness_contrast,
    'gamma': gamma,
    'emboss': emboss,
    'motion_blur': motion_blur,
}


@TRANSFORMS.register_module()
class MultiImgRandomPhotometric(SensorTransform):
    """One of several photometric changes, shared by the images.

    The choice of SGSLN's recipe (https://arxiv.org/abs/2311.11302): Gaussian
    noise, hue / saturation / value, brightness / contrast, gamma, emboss,
    motion blur, each as likely. All images of a sample get the same change
    with the same strength, down to the same noise. Other types than 8 bit are
    changed in proportion to their range, and kept.

    Args:
        prob (float): Probability that anything happens. Default: 0.3.
        kinds (Sequence[str], optional): Which changes. Default: None, all.
        sensors (Sequence[str]): Which images. Default: ``('optical', )``.

    Raises:
        ValueError: For an unknown change.
    """

    def __init__(self,
                 prob: float = 0.3,
                 kinds: Sequence[str] = None,
                 sensors: Sequence[str] = ('optical', )) -> None:
        super().__init__(sensors)
        self.prob = probability(prob)
        self.kinds = tuple(CHANGES if kinds is None else kinds)
        unknown = [kind for kind in self.kinds if kind not in CHANGES]
        if unknown or not self.kinds:
            raise ValueError(f'kinds must be some of {tuple(CHANGES)}, found '
                             f'{kinds!r}')

    def transform(self, results: dict) -> dict:
        """Change one sample, or leave it."""
        if np.random.rand() >= self.prob:
            return results
        kind = self.kinds[np.random.randint(len(self.kinds))]
        change = CHANGES[kind]()
        order = results.get('color_order', 'bgr')
        return self.replace(results, lambda image: change(image, order))

    def __repr__(self) -> str:
        """Name the arguments."""
        return (f'{type(self).__name__}(prob={self.prob}, '
                f'kinds={self.kinds}, sensors={self.sensors})')
