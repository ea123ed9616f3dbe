"""Transforms of several co-registered images and their label."""
from .affine import (
    MultiImgRandomAffine,
    MultiImgRandomTranspose,
    MultiImgRandomZoom,
)
from .formatting import MultiImgPackSegInputs
from .geometric import (
                        MultiImgExchangeTime,
                        MultiImgPad,
                        MultiImgRandomCrop,
                        MultiImgRandomFlip,
                        MultiImgRandomResize,
                        MultiImgRandomRotate,
                        MultiImgRandomRotFlip,
                        MultiImgResize,
)
from .loading import MultiImgLoadAnnotations, MultiImgLoadImageFromFile
from .photometric import (
    MultiImgColorJitter,
    MultiImgGaussianBlur,
    MultiImgPhotoMetricDistortion,
)
from .photometric_choice import MultiImgRandomPhotometric
from .sar import (
    GammaSpeckle,
    LeeFilter,
    PercentileScale,
    RefinedLeeFilter,
    SARToDecibel,
)

__all__ = [
    'GammaSpeckle', 'LeeFilter', 'MultiImgColorJitter', 'MultiImgExchangeTime',
    'MultiImgGaussianBlur', 'MultiImgLoadAnnotations',
    'MultiImgLoadImageFromFile', 'MultiImgPackSegInputs', 'MultiImgPad',
    'MultiImgPhotoMetricDistortion', 'MultiImgRandomAffine',
    'MultiImgRandomCrop', 'MultiImgRandomFlip', 'MultiImgRandomPhotometric',
    'MultiImgRandomResize', 'MultiImgRandomRotFlip', 'MultiImgRandomRotate',
    'MultiImgRandomTranspose', 'MultiImgRandomZoom', 'MultiImgResize',
    'PercentileScale', 'RefinedLeeFilter', 'SARToDecibel'
]
