"""A list of boxes with masks, as NumPy arrays, under the reference's name."""
import numpy as np

from object_detection.utils.np_box_list import BoxList


class BoxMaskList(BoxList):
    """The boxes and masks of one image, with further fields such as scores.

    Args:
        box_data: float32 or float64 [N, 4] (ymin, xmin, ymax, xmax).
        mask_data: uint8 [N, height, width] of 0 and 1, of the whole image.
    Raises:
        ValueError: an array is of another shape or type, or a side is negative.
    """

    def __init__(self, box_data: np.ndarray, mask_data: np.ndarray) -> None:
        super().__init__(box_data)
        if not isinstance(mask_data, np.ndarray):
            raise ValueError('Mask data must be a numpy array.')
        if mask_data.ndim != 3:
            raise ValueError(f'Invalid dimensions for mask data: {mask_data.shape}; it must be [N, height, width].')
        if mask_data.dtype != np.uint8:
            raise ValueError(f'Invalid data type for mask data: {mask_data.dtype}; uint8 is required.')
        if len(mask_data) != len(box_data):
            raise ValueError(f'There are {len(box_data)} boxes and {len(mask_data)} masks.')
        self.data['masks'] = mask_data

    def get_masks(self) -> np.ndarray:
        """Return the masks, uint8 [N, height, width]."""
        return self.get_field('masks')
