"""Plots as image summaries; visualization_utils offers these functions, too. They need TensorFlow and matplotlib."""
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import tensorflow as tf


def add_cdf_image_summary(values: 'tf.Tensor', name: str) -> None:
    """Add an image summary with a plot of the cumulative distribution of values, float32 [N]."""
    def plot(values: np.ndarray) -> np.ndarray:
        cumulative = np.cumsum(np.sort(values / np.sum(values)))
        return _plot(np.arange(len(values)) / len(values), cumulative, 'fraction of examples',
                     'cumulative normalized values')
    _add_image_summary(name, plot, values)


def add_hist_image_summary(values: 'tf.Tensor', bins: 'tf.Tensor', name: str) -> None:
    """Add an image summary with a histogram of values, float32 [N]; `bins` are its edges."""
    def plot(values: np.ndarray, bins: np.ndarray) -> np.ndarray:
        counts, edges = np.histogram(values, bins)
        return _plot(edges[:-1], counts, 'value', 'count')
    _add_image_summary(name, plot, values, bins)


def _add_image_summary(name: str, plot: Callable[..., np.ndarray], *values: 'tf.Tensor') -> None:
    import tensorflow as tf
    tf.compat.v1.summary.image(name, tf.numpy_function(plot, values, tf.uint8))


def _plot(x: np.ndarray, y: np.ndarray, x_label: str, y_label: str) -> np.ndarray:
    """Return a plot as uint8 [1, H, W, 3]."""
    figure = load_matplotlib().figure.Figure(frameon=False)
    axes = figure.add_subplot()
    axes.plot(x, y)
    axes.set(xlabel=x_label, ylabel=y_label)
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.array(canvas.buffer_rgba())[np.newaxis, ..., :3]


def load_matplotlib() -> Any:
    """Return the library, which the package does without.

    Raises:
        ModuleNotFoundError: it is not installed; the message names the command.
    """
    try:
        import matplotlib.figure
    except ModuleNotFoundError:
        raise ModuleNotFoundError('plots and colormaps need matplotlib: pip install matplotlib') from None
    return matplotlib
