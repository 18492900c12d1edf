"""How to call an exported detector, in Python without this package: the middle part of its model card."""
from object_detection.export.description import FIT, Description

_SAVED_MODEL = '''
import numpy as np
import tensorflow as tf
from PIL import Image

detect = tf.saved_model.load('saved_model')
image = np.asarray(Image.open('picture.jpg').convert('RGB'))
found = detect(image[np.newaxis])
boxes, scores, classes = (found[f'detection_{name}'][0].numpy() for name in ('boxes', 'scores', 'classes'))
'''
_ONNX = '''
import numpy as np
import onnxruntime
from PIL import Image

session = onnxruntime.InferenceSession('model.onnx')
picture = Image.open('picture.jpg').convert('RGB')
{prepare}
names = [{names}]
{results} = (value[0] for value in session.run(names, {{'input_tensor': image[np.newaxis]}}))
'''
_LITE = '''
import numpy as np
from PIL import Image
from ai_edge_litert.interpreter import Interpreter

interpreter = Interpreter('model.tflite', num_threads={threads})
interpreter.allocate_tensors()
picture = Image.open('picture.jpg').convert('RGB')
{prepare}
interpreter.set_tensor(interpreter.get_input_details()[0]['index'], image[np.newaxis])
interpreter.invoke()
boxes, classes, scores, count = (interpreter.get_tensor(output['index'])[0]
                                 for output in interpreter.get_output_details()[:4])
'''
_ANY = 'image = np.asarray(picture{convert})'
_STRETCH = 'image = np.asarray(picture.resize(({width}, {height}), Image.Resampling.BILINEAR){convert}){normalize}'
_FITTED = '''scale = min({width} / picture.width, {height} / picture.height)
size = round(picture.width * scale), round(picture.height * scale)
image = np.full([{height}, {width}, 3], {pad}, np.float32)
image[:size[1], :size[0]] = picture.resize(size, Image.Resampling.BILINEAR)
image = image.astype(np.{dtype}){normalize}'''


def how_to_call(network: str, about: Description | None) -> str:
    """Return a section of Markdown.

    Args:
        network: saved_model, model.tflite or model.onnx.
        about: its description; None for a SavedModel.
    """
    if about is None:
        return _section(_SAVED_MODEL, 'picture', 1)
    frame = 'input, padding included' if about.input.height else 'picture'
    if network == 'model.onnx':
        names = [name for name in about.outputs if name.endswith(('boxes', 'scores', 'classes'))]
        code = _ONNX.format(prepare=_prepare(about), names=', '.join(map(repr, names)),
                            results=', '.join(name.rpartition('_')[2] for name in names))
    else:
        code = _LITE.format(prepare=_prepare(about), threads=1 if about.regular_nms else 2)
    return _section(code, frame, about.first_class)


def _prepare(about: Description) -> str:
    given = about.input
    floats = given.dtype == 'float32'
    normalize = ''
    if floats and (any(given.mean) or set(given.std) != {1.}):
        normalize = f'\nimage = (image - {list(given.mean)}) / {list(given.std)}\nimage = image.astype(np.float32)'
    values = {'height': given.height, 'width': given.width, 'pad': list(given.pad), 'dtype': given.dtype,
              'normalize': normalize, 'convert': ', np.float32' if floats else ''}
    return (_ANY if not given.height else _FITTED if given.resize == FIT else _STRETCH).format(**values)


def _section(code: str, frame: str, first_class: int) -> str:
    return (f'## How to call it\n\n```python\n{code.strip()}\n```\n\nBoxes are (ymin, xmin, ymax, xmax), 0 to 1 of the '
            f'{frame}; classes count from {first_class}, label ids from 1. Scores are not probabilities: choose a '
            'threshold on pictures of your own.')
