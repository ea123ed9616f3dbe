"""Transforms of several co-registered images and their label."""
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
from .photometric import MultiImgGaussianBlur, MultiImgPhotoMetricDistortion
from .sar import (
    GammaSpeckle,
    LeeFilter,
    PercentileScale,
    RefinedLeeFilter,
    SARToDecibel,
)

__all__ = [
    'GammaSpeckle', 'LeeFilter', 'MultiImgExchangeTime',
    'MultiImgGaussianBlur', 'MultiImgLoadAnnotations',
    'MultiImgLoadImageFromFile', 'MultiImgPackSegInputs', 'MultiImgPad',
    'MultiImgPhotoMetricDistortion', 'MultiImgRandomCrop',
    'MultiImgRandomFlip', 'MultiImgRandomResize', 'MultiImgRandomRotFlip',
    'MultiImgRandomRotate', 'MultiImgResize', 'PercentileScale',
    'RefinedLeeFilter', 'SARToDecibel'
]
