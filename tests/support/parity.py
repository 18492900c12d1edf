"""Golden numbers of the reference, and the inputs they were made from (golden/fixture.py).

A golden is NAME.json (checkpoint keys and shapes, losses, gradient norms, how far the reference is from itself) and
NAME.npz (BatchNorm moments, every stride-th element of each prediction). Small ones are in tests/golden and required;
large ones (CONFIGS) are in the parity kit, ../shared/parity, which may be absent.
"""
import json
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from tests.golden import fixture

HERE = Path(__file__).parents[1] / 'golden'
KIT = Path(__file__).parents[3] / 'shared' / 'parity'
SUFFIX = '/.ATTRIBUTES/VARIABLE_VALUE'


CONFIGS = {  # goldens that are only in the kit: name of their config there
    'centernet_hourglass104_kpts': 'centernet_hourglass104_512x512_kpts_coco17_tpu-32',
    'centernet_resnet50_v1_fpn_kpts': 'centernet_resnet50_v1_fpn_512x512_kpts_coco17_tpu-8',
    'centernet_resnet50_v2_kpts': 'centernet_resnet50_v2_512x512_kpts_coco17_tpu-8',
    'efficientdet_d7': 'ssd_efficientdet_d7_1536x1536_coco17_tpu-32',
    'faster_rcnn_resnet50_v1_fpn': 'faster_rcnn_resnet50_v1_fpn_640x640_coco17_tpu-8',
    'mask_rcnn_inception_resnet_v2': 'mask_rcnn_inception_resnet_v2_1024x1024_coco17_gpu-8',
    'ssd_resnet50_v1_fpn': 'ssd_resnet50_v1_fpn_640x640_coco17_tpu-8',
}


def case(name, *marks):
    """Return a pytest parameter; it is skipped only if its golden is in the kit and the kit is absent."""
    absent = name in CONFIGS and not _path(name).with_suffix('.json').exists()
    return pytest.param(name, marks=[*marks, pytest.mark.skipif(absent, reason='needs the parity kit')])


def config_path(name):
    """Return the path of the pipeline.config that a golden was made from."""
    return KIT / 'configs' / f'{CONFIGS[name]}.config' if name in CONFIGS else HERE / f'{name}.config'


def _path(name):
    return (KIT / 'golden' if name in CONFIGS else HERE) / name


def released(name):
    """Return fixture.digest of what begins with model/ in a released checkpoint, optimizer slots left out."""
    return json.loads((HERE / 'zoo_keys.json').read_text())[name]


class Golden:
    """One golden: `meta` is the json, `arrays` the npz."""

    def __init__(self, name, folder=None):
        path = Path(folder) / name if folder else _path(name)
        self.name = name
        self.meta = json.loads(path.with_suffix('.json').read_text())
        self.arrays = np.load(path.with_suffix('.npz'))
        self.shapes = {key.removesuffix(SUFFIX): shape for key, shape in self.meta['keys'].items()}

    def weights(self):
        """{checkpoint key without suffix: float32 array}"""
        values = {}
        for key, shape in self.meta['keys'].items():
            if f'bn/{key}' in self.arrays:
                value = self.arrays[f'bn/{key}']
            else:
                value = fixture.weight(key, shape)
                if key in self.meta['adjust']:
                    adjust = self.meta['adjust'][key]
                    value = value * np.float32(adjust['scale']) + np.float32(adjust['shift'])
            values[key.removesuffix(SUFFIX)] = value
        return values

    def images(self, batch=2):
        """uint8 [batch, height, width, 3], before any resizing."""
        return fixture.images('test', batch, *self.meta['image_hw'])

    def resized(self, normalize):
        """What the reference feeds its network: images normalised, then resized, then padded with zeros."""
        size = self.meta['size']
        x = normalize(tf.cast(self.images(), tf.float32))
        height, width = size, size
        if 'pad_to_max_dimension' in self.meta['resizer']:
            scale = size / max(x.shape[1:3])
            height, width = round(x.shape[1] * scale), round(x.shape[2] * scale)
        x = tf.raw_ops.ResizeBilinear(images=x, size=[height, width])
        return tf.pad(x, [[0, 0], [0, size - height], [0, size - width], [0, 0]])

    def groundtruth(self, num_classes):
        """Per image boxes [3, 4] (ymin, xmin, ymax, xmax; 0..1) and 0-based classes [3]."""
        return fixture.groundtruth('gt', 2, 3, num_classes)

    def expected(self, key):
        return self.arrays[f'pred/{key}']

    def difference(self, key, value):
        """Largest difference over largest value of a prediction; its shape may differ by axes of length 1."""
        facts, expected = self.meta['pred'][key], self.expected(key).astype(np.float64)
        value = np.asarray(value)
        assert value.size == np.prod(facts['shape']), (key, value.shape, facts['shape'])
        return np.abs(value.ravel()[::facts['stride']] - expected).max() / max(np.abs(expected).max(), 1e-12)

    def tolerance(self, key):
        """1e-4, or five times how far the reference is from itself."""
        return max(1e-4, 5 * self.meta['self_agreement']['pred'].get(key, 0.))


def variables_by_key(**roots):
    """{checkpoint key without suffix: variable} of trackables: name=object, as tf.train.Checkpoint takes them."""
    root = tf.train.Checkpoint(**roots)
    view, paths, queue = tf.train.TrackableView(root), {id(root): ''}, [root]
    found = {}
    for node in queue:  # breadth first, as a checkpoint names what it meets by several ways
        for name, child in view.children(node).items():
            if id(child) not in paths:
                escaped = name.replace('.', '..').replace('/', '.S')
                paths[id(child)] = f'{paths[id(node)]}/{escaped}'.lstrip('/')
                queue.append(child)
                if isinstance(child, tf.Variable):
                    found[paths[id(child)]] = child
    return {key: variable for key, variable in found.items() if key != 'save_counter'}


def assign(variables, values):
    """Give each variable of variables_by_key its value."""
    for key, variable in variables.items():
        variable.assign(values[key])
