"""Kernels for three bands, for another number of bands."""
from torch import Tensor


def fit_bands(weight: Tensor, bands: int, how: str = 'sum') -> Tensor:
    """Give the kernel of a first convolution as many bands as ``bands``.

    Args:
        weight (Tensor): ``(C, bands of the training, k, k)``.
        bands (int): Bands wanted.
        how (str): ``'sum'``: each band gets the sum of all kernels divided by
            ``bands``, so that a grey image repeated gives the same response.
            ``'mean'``: each band gets their mean. Default: ``'sum'``.

    Returns:
        Tensor: ``(C, bands, k, k)``; ``weight`` itself where it fits.
    """
    if weight.shape[1] == bands:
        return weight
    kernel = (
        weight.sum(1, keepdim=True) / bands
        if how == 'sum' else weight.mean(1, keepdim=True))
    return kernel.repeat(1, bands, 1, 1)
