"""Tests compute in their own process what the suite computes in its workers, so both need the same environment."""
import gc

import pytest

from object_detection.utils import environment

environment.prepare_tensorflow()
# TensorFlow and traced networks are millions of objects that stay; looking through them after every 700 new ones takes
# a tenth of the time.
gc.set_threshold(20_000, 10, 20)


@pytest.fixture(scope='module')
def toys():
    """Lend the models the backbones of tests/support/toy_backbone.py, type "toy", which are traced in a moment."""
    from tests.support import toy_backbone
    with pytest.MonkeyPatch.context() as patch:
        toy_backbone.register(patch.setitem)
        yield
