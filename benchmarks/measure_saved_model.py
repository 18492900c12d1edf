"""Time loading a SavedModel and detecting with it; print JSON in seconds. Runs in either environment.

    python benchmarks/measure_saved_model.py SAVED_MODEL_DIR [SIDE]
"""
import json
import statistics
import sys
import time

import numpy as np
import tensorflow as tf

ROUNDS = 20


def per_picture(detect, images):
    """Return the median seconds per picture; a model for one picture at a time is called for each."""
    try:
        detect(tf.constant(images))
        batches = [images]
    except (TypeError, ValueError):  # the reference's exports take one
        batches = [image[np.newaxis] for image in images]
    times = []
    for _ in range(max(3, ROUNDS // len(images))):
        before = time.perf_counter()
        for batch in batches:
            detect(tf.constant(batch))['detection_scores'].numpy()
        times.append((time.perf_counter() - before) / len(images))
    return statistics.median(times)


def main(folder, side='512'):
    images = np.random.default_rng(0).integers(0, 256, (8, int(side), int(side), 3), np.uint8)
    started = time.perf_counter()
    detect = tf.saved_model.load(folder)
    loaded = time.perf_counter()
    print(json.dumps({'load': loaded - started, 'picture': per_picture(detect, images[:1]),
                      'picture_of_8': per_picture(detect, images)}))


if __name__ == '__main__':
    main(*sys.argv[1:])
