"""Faster R-CNN and Mask R-CNN: propose regions, then classify each and refine its box.

model.py: the four calls. rpn.py: anchors, proposals and their loss. regions.py: feature maps cut out for each proposal.
second_stage.py: detections and their loss. masks.py: a mask for each detection, and its loss. groundtruth.py: the
groundtruth of a batch in pixels.
"""
