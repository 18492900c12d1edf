"""How many planted label errors does prepare_data.py --check find?

    python -m benchmarks.label_errors --output out/label_errors      # some minutes on two cores

Draws pictures of shapes with known boxes, plants errors in 5 % of the boxes each (boxes removed, labels swapped, boxes
moved to an IoU of 0.3 to 0.6 with the right one), trains the demo's detector on the faulty annotations, and checks them
with it. Prints for each kind the share of the planted errors among the first N findings, N being the number planted.
A second run with the same --output repeats only the check.
"""
import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np

from demo import shapes
from object_detection.preparation.boxes import iou
from object_detection.records import Example

ROOT = Path(__file__).resolve().parents[1]
SHARE = 0.05  # of the boxes, for each kind of error
MOVED = (0.3, 0.6)  # IoU between a badly placed box and the right one
KINDS = ('overlooked', 'swapped', 'badly placed')

Box = tuple[float, float, float, float]  # ymin, xmin, ymax, xmax, normalized to 0..1


def draw(folder: Path, count: int, seed: int) -> list[dict[str, Any]]:
    """Draw pictures with planted errors into `folder`, with a Pascal VOC file each, and return what was planted.

    Returns:
        For each error {'path', 'kind', 'box': the right one, 'label': the right one}.
    """
    rng = np.random.default_rng(seed)
    scenes = [shapes.scene(np.random.default_rng([seed, number]), '') for number in range(count)]
    every = [(number, i) for number, scene in enumerate(scenes) for i in range(len(scene.labels))]
    order = rng.permutation(len(every))
    each = round(SHARE * len(every))
    faults = {every[place]: KINDS[rank // each] for rank, place in enumerate(order[:len(KINDS) * each])}
    planted = []
    for number, scene in enumerate(scenes):
        names = [shapes.LABELS[label - 1] for label in scene.labels]
        path = f'{names[0]}/{number:04d}.jpg'
        boxes = []
        for i, (box, name) in enumerate(zip(scene.boxes, names)):
            kind = faults.get((number, i))
            if kind:
                planted.append({'path': path, 'kind': kind, 'box': box, 'label': name})
            if kind == 'swapped':
                name = rng.choice([other for other in shapes.LABELS if other != name])
            if kind != 'overlooked':
                boxes.append((_moved(box, rng) if kind == 'badly placed' else box, name))
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(scene.encoded)
        file.with_suffix('.xml').write_text(_voc(scene, boxes))
    return planted


def _moved(box: Box, rng: np.random.Generator) -> Box:
    """Return a box whose edges are moved so far that its IoU with `box` lies within MOVED."""
    height, width = box[2] - box[0], box[3] - box[1]
    while True:
        shift = rng.uniform(-0.5, 0.5, 4) * (height, width, height, width)
        ymin, xmin, ymax, xmax = np.clip(np.add(box, shift), 0, 1).tolist()
        if ymin < ymax and xmin < xmax and MOVED[0] <= iou(box, (ymin, xmin, ymax, xmax)) <= MOVED[1]:
            return ymin, xmin, ymax, xmax


def _voc(scene: Example, boxes: list[tuple[Box, str]]) -> str:
    objects = ''.join(
        f'<object><name>{name}</name><bndbox><xmin>{box[1] * scene.width:.1f}</xmin><ymin>{box[0] * scene.height:.1f}'
        f'</ymin><xmax>{box[3] * scene.width:.1f}</xmax><ymax>{box[2] * scene.height:.1f}</ymax></bndbox></object>'
        for box, name in boxes)
    return (f'<annotation><size><width>{scene.width}</width><height>{scene.height}</height></size>{objects}'
            '</annotation>')


def train(output: Path, steps: int) -> None:
    """Train the demo's detector on the records in output/data and export it to output/exported."""
    config = (ROOT / 'models/demo/pipeline.config').read_text()
    for old, new in (('num_classes: 4', f'num_classes: {len(shapes.LABELS)}'), ('steps: 500', f'steps: {steps}'),
                     ('out/demo/data', (output / 'data').as_posix())):
        config = config.replace(old, new)
    (output / 'pipeline.config').write_text(config)
    run('train_and_eval_tf2.py', '--model_dir', output / 'model', '--pipeline_config_path', output / 'pipeline.config',
        '--checkpoint_every_n', steps, '--log_every_n', 50)
    run('exporter_main_v2.py', '--input_type', 'image_tensor', '--pipeline_config_path', output / 'pipeline.config',
        '--trained_checkpoint_dir', output / 'model', '--output_directory', output / 'exported')


def prepare(output: Path, *options: str | Path) -> None:
    """Run prepare_data.py; an empty annotation file is a picture without an object, and all pictures differ."""
    run('prepare_data.py', '--dataset', output / 'pictures', '--output', output / 'data', '--negatives',
        '--near_duplicates', 'off', '--split', 0.9, *options)


def run(script: str, *options: object) -> None:
    subprocess.run([sys.executable, ROOT / script, *map(str, options)], check=True, cwd=ROOT)


def recall(findings: list[dict[str, Any]], planted: list[dict[str, Any]]) -> tuple[int, int]:
    """Return how many of the planted errors of one kind are among the first len(planted) findings, and len(planted).

    A finding is right if it is in the same picture and its detection or its annotation lies on the right box.
    """
    first = findings[:len(planted)]
    hits = sum(any(finding['path'] == error['path']
                   and max(iou(box, error['box']) for box in (finding['box'], finding['detection']) if box) > 0.25
                   for finding in first) for error in planted)
    return hits, len(planted)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--output', type=lambda text: Path(text).resolve(), default=Path('out/label_errors').resolve())
    parser.add_argument('--pictures', type=int, default=700)
    parser.add_argument('--steps', type=int, default=800)
    parser.add_argument('--seed', type=int, default=0)
    args = parser.parse_args()
    truth = args.output / 'planted.json'
    if not truth.exists():
        planted = draw(args.output / 'pictures', args.pictures, args.seed)
        truth.write_text(json.dumps(planted, indent=1))
    if not (args.output / 'exported').exists():
        prepare(args.output)
        train(args.output, args.steps)
    prepare(args.output, '--check', args.output / 'exported')
    findings = json.loads((args.output / 'data/stats.json').read_text())['label_errors']['findings']
    planted = json.loads(truth.read_text())
    for kind in KINDS:
        hits, count = recall([f for f in findings if f['kind'] == kind], [p for p in planted if p['kind'] == kind])
        print(f'{kind:12}  {hits} of {count} planted errors are among the first {count} findings ({hits / count:.0%})')


if __name__ == '__main__':
    main()
