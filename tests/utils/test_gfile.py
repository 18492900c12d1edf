import pytest
import tensorflow as tf

from object_detection.protos import pipeline_pb2
from object_detection.utils import category_util, config_util, gfile, label_map_util

STORE = 'ram://models'  # TensorFlow's file system in memory; gs:// takes the same way


def test_files_on_other_file_systems():
    with tf.io.gfile.GFile(f'{STORE}/label_map.pbtxt', 'w') as file:
        file.write('item { id: 1 name: "dög" }')
    assert label_map_util.get_label_map_dict(f'{STORE}/label_map.pbtxt') == {'dög': 1}
    config = pipeline_pb2.TrainEvalPipelineConfig()
    config.train_config.batch_size = 3
    config_util.save_pipeline_config(config, f'{STORE}/mine')
    assert config_util.get_configs_from_pipeline_file(f'{STORE}/mine/pipeline.config')['train_config'].batch_size == 3
    category_util.save_categories_to_csv_file([{'id': 1, 'name': 'dog'}], f'{STORE}/a.csv')
    assert category_util.load_categories_from_csv_file(f'{STORE}/a.csv') == [{'id': 1, 'name': 'dog'}]
    with gfile.open_to_write(f'{STORE}/a.png') as file:
        file.write(b'\x89PNG')
    assert tf.io.gfile.GFile(f'{STORE}/a.png', 'rb').read() == b'\x89PNG'


@pytest.mark.parametrize('path, remote', [('gs://a/b', True), ('s3://a', True), ('/a/b', False), (r'C:\a', False),
                                          ('a:b', False), ('//host/a', False)])
def test_paths(path, remote):
    assert gfile.is_remote(path) == remote
