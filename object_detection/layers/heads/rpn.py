"""What the region proposal network puts between a feature map and its predictions (Ren et al. 2015)."""
import tensorflow as tf

from object_detection.layers import core


class RPNFeatures(core.Network):
    """A convolution, its normalization if hyperparams have one, and ReLU6; the same for all feature maps.

    Args:
        in_channels: of the feature maps.
        depth, kernel_size, dilation: of the convolution.
    """

    def __init__(self, in_channels, hyperparams, depth=512, kernel_size=3, dilation=1):
        super().__init__()
        convolution = self.add(hyperparams.conv(in_channels, depth, kernel_size, dilation=dilation))
        norm = hyperparams.norm(depth)
        steps = core.Sequence([convolution, norm and self.add(norm), tf.nn.relu6])
        self._run = lambda x, training: steps(x, training)

    def __call__(self, x, training=False):
        """[B, h, w, in_channels] -> [B, h, w, depth]."""
        return self._run(x, training)
