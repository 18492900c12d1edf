"""What lies beside an exported network: its config, label map, the summary of its training, and a model card."""
import dataclasses
import json
import shutil
from collections.abc import Sequence
from pathlib import Path

from object_detection import protos
from object_detection.config import label_map, pipeline
from object_detection.evaluation.analysis import files as analysis_files
from object_detection.export import calls
from object_detection.export.description import Description
from object_detection.runs import about, best
from object_detection.runs.record import Record
from object_detection.utils import files
from object_detection.utils.errors import UserError

LABEL_MAP, CARD, SUMMARY, THRESHOLDS = 'label_map.pbtxt', 'README.md', 'summary.html', 'score_thresholds.json'
_METRICS = 16  # of the card; run.json has all


@dataclasses.dataclass(frozen=True)
class Source:
    """Where an exported model comes from.

    Attributes:
        labels: names of the classes; None if they are not known.
        checkpoint: the prefix of the checkpoint; '' if it is not known.
        step: of the checkpoint; None if it has no step counter.
    """
    labels: label_map.LabelMap | None = None
    checkpoint: str = ''
    step: int | None = None

    @property
    def names(self) -> dict[int, str]:
        """{label id: name}; empty if they are not known."""
        return {item.id: item.display_name or item.name for item in self.labels.items} if self.labels else {}

    def __str__(self) -> str:
        return f'{Path(self.checkpoint).name} ({"no step counter" if self.step is None else f"step {self.step}"})'


def write(folder: Path, config: protos.TrainEvalPipelineConfig, source: Source, network: str,
          description: Description | None = None) -> None:
    """Write them into a folder.

    Args:
        folder: of the export.
        config: of the model.
        source: where the model comes from.
        network: name of the file or folder with the network: saved_model, model.tflite, model.onnx.
        description: of the network; None for a SavedModel.
    """
    pipeline.write(config, folder / 'pipeline.config')
    if source.labels:
        shutil.copyfile(files.existing_file(source.labels.source), folder / LABEL_MAP)
    record = _record(source)
    if record and (record.folder / SUMMARY).is_file():
        shutil.copyfile(record.folder / SUMMARY, folder / SUMMARY)
    if record and (thresholds := _thresholds(record.folder, source)):
        content = json.dumps(thresholds, indent=1, ensure_ascii=False)
        (folder / THRESHOLDS).write_text(f'{content}\n', encoding='utf-8')
    text = '\n\n'.join([*_introduction(config, source), *_files(folder, network),
                        calls.how_to_call(network, description), *_training(config, source, record),
                        *_metrics(source, record)])
    (folder / CARD).write_text(f'{text}\n', encoding='utf-8')


def _record(source: Source) -> Record | None:
    """Return the record of the training that wrote the checkpoint, if there is one."""
    folder = Path(source.checkpoint).parent
    folder = folder.parent if folder.name == best.FOLDER else folder
    try:
        return Record(folder) if source.checkpoint and (folder / 'run.json').is_file() else None
    except UserError:  # damaged: the export can do without
        return None


def _thresholds(model_dir: Path, source: Source) -> dict[str, float]:
    """Return {class: score with the best F1 on the evaluation pictures}, of classes of which something was found."""
    known = analysis_files.read(model_dir, Path(source.checkpoint).name, source.step)
    return {entry['name']: round(entry['threshold'], 4) for entry in known['classes']
            if entry['threshold'] is not None} if known else {}


def _introduction(config: protos.TrainEvalPipelineConfig, source: Source) -> list[str]:
    kind, section = pipeline.architecture(config)
    names = source.names or {number: f'class {number}' for number in range(1, section.num_classes + 1)}
    listed = ', '.join(f'{name} ({number})' for number, name in sorted(names.items()))
    return [f'# Object detector: {section.feature_extractor.type or kind}',
            f'Finds in pictures the boxes of {len(names)} kinds of objects (label ids in parentheses): {listed}.']


def _files(folder: Path, network: str) -> list[str]:
    said = {network: 'the network', LABEL_MAP: 'names of the label ids', 'pipeline.config': 'how it was trained',
            'checkpoint': 'its weights, to train on from', 'saved_model': 'its graph, for TensorFlow\'s converters',
            SUMMARY: 'curves and metrics of its training',
            THRESHOLDS: 'for each class the score with the best F1 on the evaluation pictures'}
    rows = [f'| `{name}` | {text} |' for name, text in said.items() if name == network or (folder / name).exists()]
    return ['\n'.join(['| file | |', '|---|---|', *rows])]


def _training(config: protos.TrainEvalPipelineConfig, source: Source, record: Record | None) -> list[str]:
    rows: list[tuple[str, str]] = []
    if source.checkpoint:
        rows.append(('checkpoint', str(source)))
    start = record.last_start() if record else None
    if record and start:
        for reader, data in record.data_of(start).items():
            title = 'trained on' if reader.startswith('train') else 'evaluated on'
            rows.append((title, f'{data["records"]} pictures, digest {data["digest"]} ({_file_names(data)})'))
        rows.append(('begun', str(start['started'])))
        rows.append(('with', ', '.join(f'{name} {version}' for name, version in start['versions'].items())))
    training = config.train_config
    if training.batch_size:
        rows.append(('batch size', str(training.batch_size)))
    if training.fine_tune_checkpoint:
        rows.append(('fine-tuned from', Path(training.fine_tune_checkpoint).parent.parent.name or
                     training.fine_tune_checkpoint))
    rows.append(('exported with', ', '.join(f'{name} {version}' for name, version in about.versions().items())))
    return ['## Training', '\n'.join(['| | |', '|---|---|', *(f'| {name} | {value} |' for name, value in rows)])]


def _file_names(data: dict) -> str:
    names: Sequence[str] = [Path(file['path']).name for file in data['files']]
    return ', '.join(names[:2]) + (', ...' if len(names) > 2 else '')


def _metrics(source: Source, record: Record | None) -> list[str]:
    entry = record.entries.get(Path(source.checkpoint).name, {}) if record else {}
    values = [(name, value) for name, value in entry.get('eval', {}).items() if value is not None and value >= 0]
    if not values:
        return ['## Metrics', 'This checkpoint was not evaluated.']
    rows = [f'| {name} | {value:.4f} |' for name, value in values[:_METRICS]]
    return ['## Metrics', 'On the evaluation pictures, of which none was trained on unless the data say otherwise:',
            '\n'.join(['| metric | value |', '|---|---|', *rows])]
