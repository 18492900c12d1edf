"""Inputs that set the ranges of an 8-bit network's activations: pictures of the training records, as the model gets
them."""
from collections.abc import Iterator

import numpy as np
import tensorflow as tf

from object_detection import inputs, protos
from object_detection.models.detector import Detector


def images(config: protos.TrainEvalPipelineConfig, model: Detector, count: int, normalized: bool
           ) -> Iterator[np.ndarray]:
    """Yield inputs, float32 [1, h, w, 3], of `count` training pictures at random, without augmentation.

    The first has a black and a white pixel, so that pixels 0..255 are the range of the input.

    Args:
        config: its train_input_reader is read.
        normalized: as the network without its normalization takes them; else 0..255.
    """
    reader = type(config.train_input_reader)()
    reader.CopyFrom(config.train_input_reader)
    reader.shuffle, reader.num_epochs = True, 1
    dataset = inputs.eval_dataset(config, reader, model.resizer, batch_size=1)
    for number, (features, _) in enumerate(dataset.take(count)):
        pixels = features['image'].numpy()
        if not number:
            pixels[0, 0, 0], pixels[0, 0, 1] = 0., 255.
        yield (model.normalize(tf.constant(pixels), features['true_image_shape']).numpy() if normalized else pixels)
