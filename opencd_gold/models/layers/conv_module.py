"""Convolution, norm, activation with PyTorch's own initialisation."""
from mmcv.cnn import ConvModule


class DefaultInitConvModule(ConvModule):
    """mmcv's ``ConvModule`` that leaves weights as PyTorch makes them.

    mmcv draws them anew (Kaiming, normal), both when the module is made and
    when a runner initialises the model.
    """

    def init_weights(self) -> None:
        """Nothing to do: the layers have initialised themselves."""
