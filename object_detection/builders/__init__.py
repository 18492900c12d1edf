"""Builders under the reference's names: models, optimizers, data sets, resizers, and augmentations from configs."""
