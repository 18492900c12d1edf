import os

from object_detection.utils import environment


def test_variables_are_set_unless_the_user_set_them(monkeypatch):
    for name in environment.TENSORFLOW:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv('TF_ENABLE_ONEDNN_OPTS', '0')
    environment.prepare_tensorflow()
    found = {name: os.environ[name] for name in environment.TENSORFLOW}
    assert found == {'TF_USE_LEGACY_KERAS': '1', 'TF_CPP_MIN_LOG_LEVEL': '3', 'TF_ENABLE_ONEDNN_OPTS': '0'}
