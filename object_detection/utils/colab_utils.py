"""Draw boxes by hand in Google Colab, under the reference's names.

    boxes = []
    colab_utils.annotate(images, box_storage_pointer=boxes)     # filled when the user presses submit
"""
import base64
import io
import json
import uuid
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image


def annotate(imgs: Sequence[np.ndarray], box_storage_pointer: list[np.ndarray | None], callbackId: str | None = None
             ) -> None:
    """Show images, on which the user draws boxes.

    Outside Colab it warns that there is nothing to draw on, and the list stays as it is.

    Args:
        imgs: uint8 [H, W, 3] each.
        box_storage_pointer: becomes, on submit, a list of float64 [N, 4] (ymin, xmin, ymax, xmax), 0..1, for each
            image; None for images without boxes.
        callbackId: name of the function that receives the boxes; an unused one by default.
    """
    try:
        from google.colab import output
    except ModuleNotFoundError:
        warnings.warn('colab_utils.annotate works in Google Colab only; no boxes were drawn', stacklevel=2)
        return
    callback = callbackId or uuid.uuid4().hex

    def receive(boxes: Sequence[Sequence[Sequence[float]]]) -> None:
        box_storage_pointer[:] = [np.clip(np.array(of_image, float), 0., 1.) if of_image else None
                                  for of_image in boxes]

    output.register_callback(callback, receive)
    draw_bbox(imgs, callback)


def draw_bbox(image_urls: Sequence[np.ndarray], callbackId: str) -> None:
    """Show images, uint8 [H, W, 3] each; the boxes go to a function that is registered with Colab.

    Raises:
        TypeError: an image is not an array.
    """
    from IPython.display import HTML, display
    for image in image_urls:
        if not isinstance(image, np.ndarray):
            raise TypeError(f'Image has unsupported type {type(image)}.')
    page = Path(__file__).with_name('colab_annotate.html').read_text(encoding='utf-8')
    for name, value in (('id', f'annotate-{callbackId}'), ('callback', callbackId),
                        ('images', json.dumps([image_from_numpy(image) for image in image_urls]))):
        page = page.replace(f'{{{name}}}', value)
    display(HTML(page))


def image_from_numpy(image: np.ndarray) -> str:
    """Return an image, uint8 [H, W, 3], as a JPEG file in Base64."""
    file = io.BytesIO()
    Image.fromarray(image).save(file, 'JPEG')
    return base64.b64encode(file.getvalue()).decode()
