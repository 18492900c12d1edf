"""Shapes of tensors: pad, clip, flatten, check, under the reference's names."""
from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from object_detection.utils.static_shape import get_dim_as_int, get_height, get_width

__all__ = ['assert_box_normalized', 'assert_shape_equal', 'assert_shape_equal_along_first_dimension',
           'check_min_image_dim', 'clip_tensor', 'combined_static_and_dynamic_shape', 'expand_first_dimension',
           'flatten_dimensions', 'flatten_first_n_dimensions', 'get_dim_as_int', 'pad_or_clip_nd',
           'pad_or_clip_tensor', 'pad_tensor', 'resize_images_and_return_shapes', 'static_or_dynamic_map_fn']

Dimension = Any  # int, or a scalar tensor where it is not known before the graph runs


def combined_static_and_dynamic_shape(tensor: tf.Tensor) -> list[Dimension]:
    """Return the shape as a list: an int where a dimension is known, else a scalar tensor."""
    dynamic = tf.shape(tensor)
    return [dynamic[axis] if size is None else size for axis, size in enumerate(tensor.shape.as_list())]


def pad_tensor(t: tf.Tensor, length: Dimension) -> tf.Tensor:
    """Pad a tensor [N, ...] with zeros at the end of its first dimension.

    Args:
        length: the new N, not below the old one; an int, or a tensor [] or [1].
    """
    length = length if isinstance(length, int) else tf.reshape(length, [])
    return tf.pad(t, [[0, length - tf.shape(t)[0]]] + [[0, 0]] * (t.shape.rank - 1))


def clip_tensor(t: tf.Tensor, length: Dimension) -> tf.Tensor:
    """Return the first `length` rows of a tensor [N, ...], which has at least as many."""
    clipped = tf.gather(t, tf.range(length))
    return clipped if tf.is_tensor(length) else tf.ensure_shape(clipped, [length, *t.shape[1:]])


def pad_or_clip_tensor(t: tf.Tensor, length: Dimension) -> tf.Tensor:
    """Make the first dimension of a tensor [N, ...] `length`: pad with zeros, or cut off."""
    return pad_or_clip_nd(t, [length, *t.shape.as_list()[1:]])


def pad_or_clip_nd(tensor: tf.Tensor, output_shape: Sequence[Dimension | None]) -> tf.Tensor:
    """Make each dimension what output_shape says, with zeros at its end, or cut off; None leaves it as it is."""
    if not output_shape:
        return tensor
    clipped = tensor[tuple(slice(size) for size in output_shape)]
    missing = [0 if size is None else size - present for size, present in zip(output_shape, tf.unstack(
        tf.shape(clipped), len(output_shape)))]
    padded = tf.pad(clipped, tf.stack([tf.zeros_like(missing), missing], 1))
    padded.set_shape([None if tf.is_tensor(size) else size for size in output_shape])
    return padded


def static_or_dynamic_map_fn(fn: Callable[[Any], Any], elems: Any, dtype: Any = None, parallel_iterations: int = 32,
                             back_prop: bool = True) -> Any:
    """Like tf.map_fn; where the first dimension is known, fn is called once for each row, without a loop in the graph.

    Args:
        elems: tensor or list of tensors [N, ...]; fn gets their rows in the same structure (a tuple for a list).
        dtype: of the results; only needed where fn does not return what it gets.
        parallel_iterations: of tf.map_fn.
        back_prop: without effect; gradients always flow.
    Raises:
        ValueError: elems or a result of fn is neither a tensor nor a list of tensors.
    """
    tensors = elems if isinstance(elems, list) else [elems]
    if not all(isinstance(tensor, tf.Tensor) for tensor in tensors):
        raise ValueError('`elems` must be a Tensor or list of Tensors.')
    sizes = {tensor.shape[0] if tensor.shape.rank else None for tensor in tensors}
    if len(sizes) > 1 or not all(sizes):
        return tf.map_fn(fn, elems, dtype=dtype, parallel_iterations=parallel_iterations)
    rows = list(zip(*(tf.unstack(tensor) for tensor in tensors)))
    outputs = [fn(row if isinstance(elems, list) else row[0]) for row in rows]
    if all(isinstance(output, tf.Tensor) for output in outputs):
        return tf.stack(outputs)
    if all(isinstance(output, list) and all(isinstance(part, tf.Tensor) for part in output) for output in outputs):
        return [tf.stack(parts) for parts in zip(*outputs)]
    raise ValueError('`fn` should return a Tensor or a list of Tensors.')


def check_min_image_dim(min_dim: int, image_tensor: tf.Tensor) -> tf.Tensor:
    """Return images [B, H, W, C] after a check that H and W are at least min_dim.

    Raises:
        ValueError: they are known and smaller; where they are not known, running the graph fails.
    """
    height, width = get_height(image_tensor.shape), get_width(image_tensor.shape)
    if height is not None and width is not None:
        if min(height, width) < min_dim:
            raise ValueError(f'image size must be >= {min_dim} in both height and width; image dim = {height},{width}')
        return image_tensor
    check = tf.debugging.assert_greater_equal(
        tf.shape(image_tensor)[1:3], min_dim, f'image size must be >= {min_dim} in both height and width.')
    with tf.control_dependencies([check] if check is not None else []):
        return tf.identity(image_tensor)


def assert_shape_equal(shape_a: Sequence[Dimension], shape_b: Sequence[Dimension]) -> Any:
    """Check that two shapes, from combined_static_and_dynamic_shape, are equal.

    Returns:
        An operation for tf.control_dependencies; None in eager mode.
    Raises:
        ValueError: they are known and differ; where they are not known, running the operation fails.
    """
    if all(isinstance(size, int) for size in (*shape_a, *shape_b)):
        if list(shape_a) != list(shape_b):
            raise ValueError(f'Unequal shapes {shape_a}, {shape_b}')
        return tf.no_op()
    return tf.debugging.assert_equal(tf.stack(shape_a), tf.stack(shape_b))


def assert_shape_equal_along_first_dimension(shape_a: Sequence[Dimension], shape_b: Sequence[Dimension]) -> Any:
    """Like assert_shape_equal, of the first dimensions only."""
    if isinstance(shape_a[0], int) and isinstance(shape_b[0], int):
        if shape_a[0] != shape_b[0]:
            raise ValueError(f'Unequal first dimension {shape_a[0]}, {shape_b[0]}')
        return tf.no_op()
    return tf.debugging.assert_equal(shape_a[0], shape_b[0])


def assert_box_normalized(boxes: tf.Tensor, maximum_normalized_coordinate: float = 1.1) -> Any:
    """Check that boxes [N, 4] lie between 0 and a maximum; running the operation that is returned fails otherwise."""
    inside = tf.logical_and(tf.reduce_max(boxes) <= maximum_normalized_coordinate, tf.reduce_min(boxes) >= 0)
    return tf.debugging.Assert(inside, [boxes])


def flatten_dimensions(inputs: tf.Tensor, first: int, last: int) -> tf.Tensor:
    """Make one dimension of those from `first` to before `last`: [10, 5, 20, 3] with 1, 3 becomes [10, 100, 3].

    Raises:
        ValueError: the tensor has fewer dimensions.
    """
    if first >= inputs.shape.rank or last > inputs.shape.rank:
        raise ValueError('`first` and `last` must be less than inputs.shape.ndims. '
                         f'found {first} and {last} respectively while ndims is {inputs.shape.rank}')
    shape = combined_static_and_dynamic_shape(inputs)
    product = tf.reduce_prod(shape[first:last], keepdims=True)
    return tf.reshape(inputs, tf.concat([shape[:first], product, shape[last:]], 0))


def flatten_first_n_dimensions(inputs: tf.Tensor, n: int) -> tf.Tensor:
    """Make one dimension of the first n."""
    return flatten_dimensions(inputs, 0, n)


def expand_first_dimension(inputs: tf.Tensor, dims: list[Dimension]) -> tf.Tensor:
    """Split the first dimension: [50, 20, 3] with [10, 5] becomes [10, 5, 20, 3]."""
    shape = combined_static_and_dynamic_shape(inputs)
    check = tf.debugging.assert_equal(shape[0], tf.reduce_prod(tf.stack(dims)), message=(
        'First dimension of `inputs` cannot be expanded into provided `dims`'))
    with tf.control_dependencies([check] if check is not None else []):
        return tf.reshape(inputs, tf.stack([*dims, *shape[1:]]))


def resize_images_and_return_shapes(inputs: tf.Tensor, image_resizer_fn: Callable[[tf.Tensor], list[tf.Tensor]]
                                    ) -> tuple[tf.Tensor, tf.Tensor]:
    """Resize a batch.

    Args:
        inputs: float32 [B, H, W, C].
        image_resizer_fn: takes an image [H, W, C] and returns it resized, and its shape without padding, int32 [3].
    Returns:
        The images, float32 [B, h, w, C], and the shapes, int32 [B, 3].
    Raises:
        ValueError: inputs are not float32.
    """
    if inputs.dtype != tf.float32:
        raise ValueError('`resize_images_and_return_shapes` expects a tf.float32 tensor')
    images, shapes = static_or_dynamic_map_fn(image_resizer_fn, inputs, [tf.float32, tf.int32])
    return images, shapes
