"""CenterNet: objects as points (Zhou et al. 2019, https://arxiv.org/abs/1904.07850).

tasks.py says what is predicted, model.py holds the four calls, targets.py and losses.py train it, decoding.py and
keypoints.py read detections off the maps. Feature maps are `stride` times smaller than the image; coordinates in pixels
of a feature map are called cells.
"""
