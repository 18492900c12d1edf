"""Detectors. detector.py: what they share. ssd/, faster_rcnn/, center_net/: model.py holds the four calls, build.py
constructs the model from its part of a pipeline.config. losses.py, resizers.py: used by several."""
