"""A list of boxes with further fields, as NumPy arrays, under the reference's name."""
from typing import Any

import numpy as np


class BoxList:
    """The boxes of one image, with fields such as scores.

    Args:
        data: float32 or float64 [N, 4] (ymin, xmin, ymax, xmax).
    Raises:
        ValueError: the array is of another shape or type, or a side is negative.
    """

    def __init__(self, data: np.ndarray) -> None:
        if not isinstance(data, np.ndarray):
            raise ValueError('data must be a numpy array.')
        if data.ndim != 2 or data.shape[1] != 4:
            raise ValueError(f'Invalid dimensions for box data: {data.shape}; it must be [N, 4].')
        if data.dtype not in (np.float32, np.float64):
            raise ValueError(f'Invalid data type for box data: {data.dtype}; float is required.')
        if (data[:, :2] > data[:, 2:]).any():
            raise ValueError('Invalid box data. data must be a numpy array of N*[y_min, x_min, y_max, x_max]')
        self.data = {'boxes': data}

    def num_boxes(self) -> int:
        """Return N."""
        return len(self.data['boxes'])

    def get_extra_fields(self) -> list[str]:
        """Return the names of all fields but 'boxes'."""
        return [name for name in self.data if name != 'boxes']

    def has_field(self, field: str) -> bool:
        """Return whether there is a field of this name."""
        return field in self.data

    def add_field(self, field: str, field_data: np.ndarray) -> None:
        """Add an array [N, ...] as a field.

        Raises:
            ValueError: there is such a field, or the first dimension is not N.
        """
        if self.has_field(field):
            raise ValueError(f'Field {field} already exists')
        if field_data.ndim < 1 or len(field_data) != self.num_boxes():
            raise ValueError(f'Invalid dimensions for field data: {field_data.shape}; there are {self.num_boxes()} '
                             'boxes.')
        self.data[field] = field_data

    def get(self) -> np.ndarray:
        """Return the boxes [N, 4]."""
        return self.get_field('boxes')

    def get_field(self, field: str) -> Any:
        """Return a field.

        Raises:
            ValueError: there is none of this name.
        """
        if not self.has_field(field):
            raise ValueError(f'field {field} does not exist')
        return self.data[field]

    def get_coordinates(self) -> list[np.ndarray]:
        """Return ymin, xmin, ymax, and xmax, each [N]."""
        return list(self.get().T)
