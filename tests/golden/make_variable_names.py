"""Writes next to it variable_names.json, the names of the reference's layers in its heads,

    {golden or config: {checkpoint key of a layer: its name}}

and variable_order.json, the order of the variables of its models: places in the sorted list of their checkpoint keys.

    {golden: [place, ...]}

Run with the reference's environment (TF2 Object Detection API, TensorFlow 2.15):
    PYTHONPATH=benchmarks/reference python tests/golden/make_variable_names.py
"""
import json
from pathlib import Path

HERE = Path(__file__).parent
CONFIGS = ('ssd_mobilenet_v2_fpnlite', 'efficientdet_d0', 'ssd_mobilenet_v2', 'faster_rcnn_resnet50_v1',
           'configs/mask_rcnn_inception_resnet_v2_1024x1024_coco17_gpu-8')


def names_and_order(path):
    """{checkpoint key: name} of the layers outside the feature extractors; places of all variables."""
    import tensorflow as tf

    from object_detection.builders import model_builder
    from object_detection.utils import config_util
    tf.keras.backend.clear_session()
    model = model_builder.build(config_util.get_configs_from_pipeline_file(str(path))['model'], is_training=False)
    model.predict(tf.zeros([1, 256, 256, 3]), tf.constant([[256, 256, 3]]))
    view, keys, queue = tf.train.TrackableView(model), {id(model): ''}, [model]
    found, variables = {}, {}
    for node in queue:  # breadth first, as a checkpoint names what it meets by several ways
        for edge, child in view.children(node).items():
            if id(child) not in keys:
                keys[id(child)] = f'{keys[id(node)]}/{edge}'.lstrip('/')
                queue.append(child)
                if isinstance(child, tf.Variable):
                    found[keys[id(child)].rpartition('/')[0]] = child.name.rpartition('/')[0]
                    variables[id(child)] = keys[id(child)]
    sorted_keys = sorted(variables.values())
    return ({key: name for key, name in sorted(found.items()) if 'feature_extractor' not in key},
            [sorted_keys.index(variables[id(variable)]) for variable in model.variables])


if __name__ == '__main__':
    import compat  # noqa: F401, must come before the reference
    golden = {name: names_and_order(HERE / f'{name}.config') for name in CONFIGS}
    names = {name: found for name, (found, _) in golden.items()}
    (HERE / 'variable_names.json').write_text(json.dumps(names, indent=1) + '\n')
    lines = [f'"{name}": {json.dumps(order, separators=(",", ":"))}' for name, (_, order) in golden.items()
             if '/' not in name]
    (HERE / 'variable_order.json').write_text('{\n' + ',\n'.join(lines) + '\n}\n')
