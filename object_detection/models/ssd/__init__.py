"""Single-shot detectors: SSD, RetinaNet, EfficientDet."""
