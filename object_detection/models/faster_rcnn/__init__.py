"""Faster R-CNN and Mask R-CNN: proposals, then a closer look at each.

model: the four calls. rpn: anchors, proposals and their loss. regions: feature maps cut out for each proposal.
second_stage: detections and their loss. masks: a mask for each detection and its loss.
"""
