"""Modules under the reference's names: coco_evaluation, coco_tools. The metrics are in evaluation.metrics."""
