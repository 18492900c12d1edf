"""Time loading a SavedModel and detecting on one picture; print JSON in seconds. Runs in either environment.

    python benchmarks/measure_saved_model.py SAVED_MODEL_DIR [SIDE]
"""
import json
import statistics
import sys
import time

import numpy as np
import tensorflow as tf


def main(folder, side='512'):
    image = np.random.default_rng(0).integers(0, 256, (1, int(side), int(side), 3), np.uint8)
    started = time.perf_counter()
    detect = tf.saved_model.load(folder)
    loaded = time.perf_counter()
    detect(tf.constant(image))
    first = time.perf_counter()
    times = []
    for _ in range(30):
        before = time.perf_counter()
        detect(tf.constant(image))['detection_scores'].numpy()
        times.append(time.perf_counter() - before)
    print(json.dumps({'load': loaded - started, 'first_picture': first - loaded, 'picture': statistics.median(times)}))


if __name__ == '__main__':
    main(*sys.argv[1:])
