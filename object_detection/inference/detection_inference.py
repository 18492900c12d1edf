"""Importable under the reference's name, since scripts for saved models still import it without a use for it."""
from typing import NoReturn

from object_detection import absent

_REASON = 'it reads frozen graphs of TensorFlow 1; tf.saved_model.load reads what exporter_main_v2 writes'
_ABSENT = dict.fromkeys(('build_input', 'build_inference_graph', 'infer_detections_and_add_to_example'), _REASON)


def __getattr__(name: str) -> NoReturn:
    absent.explain_name(__name__, name, _ABSENT)
