"""CenterNet: objects as points (Zhou et al. 2019, https://arxiv.org/abs/1904.07850).

model.py: the four calls. tasks.py: the settings of what is predicted. targets.py and losses.py: training. decoding.py
and keypoints.py: detections. Feature maps are `stride` times smaller than the input; coordinates in units of their
pixels are called cells. A map size is (height, width), ints or scalar tensors.
"""
