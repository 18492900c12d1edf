"""Masks of rectangles."""
import numpy as np


def filled(*boxes, size=(40, 60)):
    """Return masks, bool [n, height, width], that fill boxes (ymin, xmin, ymax, xmax) in pixels."""
    whole = np.zeros((len(boxes), *size), bool)
    for mask, (top, left, bottom, right) in zip(whole, boxes):
        mask[top:bottom, left:right] = True
    return whole
