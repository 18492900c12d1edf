import sys
import types

import numpy as np
import pytest

from object_detection.utils import colab_utils


@pytest.fixture
def colab(monkeypatch):
    """What stands in for Colab: the pages it shows, and the functions it calls."""
    shown, functions = [], {}
    output = types.SimpleNamespace(register_callback=functions.__setitem__)
    display = types.SimpleNamespace(HTML=str, display=shown.append)
    for name, module in (('google.colab', types.SimpleNamespace(output=output)), ('google.colab.output', output),
                         ('IPython', types.SimpleNamespace(display=display)), ('IPython.display', display)):
        monkeypatch.setitem(sys.modules, name, module)
    return shown, functions


def test_boxes_arrive_in_the_list(colab):
    shown, functions = colab
    boxes = [np.zeros([1, 4])]
    colab_utils.annotate([np.zeros([4, 6, 3], np.uint8)] * 2, boxes)
    [(name, receive)] = functions.items()
    [page] = shown
    assert f"invokeFunction('{name}', [boxes], {{}})" in page and page.count(f'annotate-{name}') == 2
    assert page.count('"/9j/') == 2  # the first letters of a JPEG in Base64
    assert len(boxes) == 1  # until the user presses submit
    receive([[[.25, -.1, .5, 1.2], [0, 0, 1, 1]], []])
    assert boxes[0].tolist() == [[.25, 0, .5, 1], [0, 0, 1, 1]] and boxes[1] is None


def test_name_of_the_function(colab):
    colab_utils.annotate([np.zeros([4, 6, 3], np.uint8)], [], callbackId='mine')
    assert list(colab[1]) == ['mine']


def test_images_have_to_be_arrays(colab):
    with pytest.raises(TypeError, match='str'):
        colab_utils.annotate(['a.jpg'], [])


def test_outside_colab_a_notebook_goes_on():
    boxes = []
    with pytest.warns(UserWarning, match='Google Colab only'):
        colab_utils.annotate([np.zeros([4, 6, 3], np.uint8)], boxes)
    assert boxes == []
