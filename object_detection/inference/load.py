"""From a path to a Runner, whatever the format."""
from collections.abc import Callable
from pathlib import Path

from object_detection.config import label_map, pipeline
from object_detection.inference.detections import Runner
from object_detection.utils import environment, errors, files

LABEL_MAP = 'label_map.pbtxt'
KINDS = ('a SavedModel (the folder with saved_model.pb, or an export with saved_model/), a .tflite or .onnx file, '
         'a checkpoint (.../ckpt-7) or a folder of them with their pipeline.config')


def load(path: str | Path, config: str | Path | None = None, labels: str | Path | None = None,
         threads: int | None = None) -> Runner:
    """Load a detector.

    Args:
        path: one of KINDS.
        config: pipeline.config of a checkpoint; None for the one beside it, or a folder above.
        labels: label map; None for what the file carries, label_map.pbtxt beside the model or a folder above, or that
            of the config.
        threads: of the processor, for .tflite and .onnx; None for all cores.
    Raises:
        UserError: it is none of these, cannot be loaded, or a library is missing.
    """
    path = Path(path)
    if path.suffix in _FILES:
        if not path.is_file():
            raise errors.UserError(files.missing(path))
        return _FILES[path.suffix](path, _labels(path, labels), threads)
    for folder in (path, path / 'saved_model'):
        if (folder / 'saved_model.pb').is_file():
            return _saved_model(folder, _labels(folder, labels))
    if Path(f'{path}.index').is_file() or path.is_dir():
        return _checkpoint(path, config, labels)
    raise errors.UserError(f'{f"{path}: is no detector" if path.exists() else files.missing(path)}; '
                           f'allowed is {KINDS}')


def _labels(path: Path, given: str | Path | None) -> dict[int, str]:
    """Return {label id: name} of a label map that is given or lies beside a model; else {}."""
    beside = [folder / LABEL_MAP for folder in list(path.absolute().parents)[:2]] + [path / LABEL_MAP]
    found = given or next((place for place in beside if place.is_file()), None)
    return {item.id: item.display_name or item.name for item in label_map.load(found).items} if found else {}


def _saved_model(folder: Path, labels: dict[int, str]) -> Runner:
    environment.prepare_tensorflow()
    from object_detection.inference import saved_model
    try:
        return saved_model.TensorFlowRunner(str(folder), saved_model.signature(str(folder)), labels)
    except saved_model.Unfit as error:
        raise errors.UserError(f'{folder}: {error}') from error


def _lite(path: Path, labels: dict[int, str], threads: int | None) -> Runner:
    from object_detection.inference.lite import LiteRunner
    return LiteRunner(path, labels, threads)


def _onnx(path: Path, labels: dict[int, str], threads: int | None) -> Runner:
    from object_detection.inference.onnx import OnnxRunner
    return OnnxRunner(path, labels, threads)


def _checkpoint(path: Path, config: str | Path | None, labels: str | Path | None) -> Runner:
    folder = path if path.is_dir() else path.parent
    places = [Path(config)] if config else [folder / 'pipeline.config', folder.parent / 'pipeline.config']
    found = next((place for place in places if place.is_file()), None)
    if found is None:
        raise errors.UserError(f'{path}: is taken for checkpoints, and there is no {places[0]}; name their '
                               f'pipeline.config, or give {KINDS}')
    content = pipeline.read(found)
    from object_detection.config import checks
    checks.demand(checks.located(checks.check_model(content), str(found)))
    known = _labels(folder, labels)
    readers = content.eval_input_reader
    if not known and readers and files.is_file(readers[0].label_map_path):
        known = _labels(folder, readers[0].label_map_path)
    environment.prepare_tensorflow()
    from object_detection import checkpoints
    from object_detection.inference import checkpoint
    saved = checkpoints.load(path)
    return checkpoint.runner(saved, content, known)


_FILES: dict[str, Callable[[Path, dict[int, str], int | None], Runner]] = {'.tflite': _lite, '.onnx': _onnx}
