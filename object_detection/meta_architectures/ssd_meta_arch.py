"""SSD, RetinaNet, EfficientDet under the reference's class name."""
from object_detection.meta_architectures.detector_model import DetectorModel


class SSDMetaArch(DetectorModel):
    """What model_builder.build makes of `model { ssd { ... } }`."""
