"""What an evaluation says beyond its metrics: which classes, which errors, which pictures, and how sure it is.

    matching.py     matches detections with groundtruth, picture by picture, while the evaluation runs
    statistics.py   per class AP, recall, best threshold; confusion matrix, curves, calibration
    bootstrap.py    how much mAP would differ on another test set of this size
    mistakes.py     kinds of errors (TIDE), and the pictures with the most of them
    findings.py     a mAP of 0 explained; pictures that were not evaluated; test sets too small
    plots.py        PNGs of these, by matplotlib
    files.py        analysis.json, classes.csv and the PNGs of a checkpoint, written and read
    analysis.py     all of it for one evaluation

Boxes are compared, of masks and keypoints too. Imports no TensorFlow.
"""
