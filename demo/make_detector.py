"""Train the small detector that the demo starts from: models/demo/saved_model and models/demo/checkpoint.

    python -m demo.make_detector

It is trained on drawn scenes with known boxes, of other seeds than the demo's pictures, and has a single class: it
finds where an object is, not which one. Training and export are the suite's own scripts. Ten minutes on two cores.
"""
import argparse
import shutil
import subprocess
import sys
from pathlib import Path

from demo import make_records, make_scenes
from object_detection.config import pipeline

ROOT = Path(__file__).resolve().parent.parent
MODEL = ROOT / 'models' / 'demo'
OVERRIDE = '''
model {{ ssd {{ num_classes: 1 }} }}
train_config {{
  num_steps: {steps}
  optimizer {{ momentum_optimizer {{ learning_rate {{
    cosine_decay_learning_rate {{ total_steps: {steps} warmup_steps: 100 }}
  }} }} }}
}}
train_input_reader {{
  label_map_path: "{folder}/label_map.pbtxt"
  tf_record_input_reader {{ input_path: "{folder}/train.tfrecords" }}
}}
eval_input_reader {{
  label_map_path: "{folder}/label_map.pbtxt"
  tf_record_input_reader {{ input_path: "{folder}/test.tfrecords" }}
}}
'''


def main() -> None:
    parser = argparse.ArgumentParser(description='Train and export the detector that the demo starts from.')
    parser.add_argument('--work', type=Path, default=Path('out/demo_detector'), help='scratch folder, emptied first')
    parser.add_argument('--pictures', type=int, default=3000)
    parser.add_argument('--steps', type=int, default=1800)
    args = parser.parse_args()
    shutil.rmtree(args.work, ignore_errors=True)
    make_records.write_data_set(args.work, args.pictures, test=200, seed=1000,
                                classes=dict.fromkeys(make_scenes.LABELS, 'object'))
    write_config(args.work, args.steps)
    run('train_and_eval_tf2.py', '--model_dir', args.work / 'model', '--checkpoint_every_n', args.steps,
        folder=args.work)
    run('exporter_main_v2.py', '--trained_checkpoint_dir', args.work / 'model', '--output_directory',
        args.work / 'exported', folder=args.work)
    for name in ('saved_model', 'checkpoint'):
        shutil.rmtree(MODEL / name, ignore_errors=True)
        shutil.copytree(args.work / 'exported' / name, MODEL / name)
    size = sum(file.stat().st_size for file in (MODEL / 'saved_model').rglob('*') if file.is_file())
    print(f'{MODEL / "saved_model"}: {size / 1e6:.2f} MB')


def write_config(folder: Path, steps: int) -> None:
    """Write folder/pipeline.config: the demo's config with one class, random weights and the records in `folder`."""
    config = pipeline.read(MODEL / 'pipeline.config')
    config.train_config.ClearField('fine_tune_checkpoint')
    config.train_config.ClearField('fine_tune_checkpoint_type')
    config.train_input_reader.Clear()
    config.ClearField('eval_input_reader')
    pipeline.write(pipeline.override(config, OVERRIDE.format(steps=steps, folder=folder.as_posix())),
                   folder / 'pipeline.config')


def run(script: str, *arguments: object, folder: Path) -> None:
    """Run a script of the suite on folder/pipeline.config."""
    command = [sys.executable, ROOT / script, '--pipeline_config_path', folder / 'pipeline.config', *arguments]
    subprocess.run([str(word) for word in command], check=True)


if __name__ == '__main__':
    main()
