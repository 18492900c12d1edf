"""Make the small detector that the demo starts from: saved_model/ and checkpoint/ beside this file.

    python -m demo.make_detector

It learns from drawn scenes with known boxes, of other seeds than the demo's pictures, and has a single class: it tells
where an object is, not which. Some ten minutes on two cores. Training and export are the suite's own scripts.
"""
import argparse
import shutil
import subprocess
import sys
from pathlib import Path

from demo import make_records, make_scenes
from object_detection.config import pipeline as config

HERE = Path('models/demo')
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


def main():
    parser = argparse.ArgumentParser(description='Train and export the detector that the demo starts from.')
    parser.add_argument('--work', type=Path, default=Path('out/demo_detector'), help='scratch folder, made anew')
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
        shutil.rmtree(HERE / name, ignore_errors=True)
        shutil.copytree(args.work / 'exported' / name, HERE / name)
    size = sum(file.stat().st_size for file in (HERE / 'saved_model').rglob('*') if file.is_file())
    print(f'{HERE / "saved_model"}: {size / 1e6:.2f} MB')


def write_config(folder, steps):
    """The demo's own config, with one class, from random weights, on these records."""
    pipeline = config.read(HERE / 'pipeline.config')
    pipeline.train_config.ClearField('fine_tune_checkpoint')
    pipeline.train_config.ClearField('fine_tune_checkpoint_type')
    pipeline.train_input_reader.Clear()
    pipeline.ClearField('eval_input_reader')
    config.write(config.override(pipeline, OVERRIDE.format(steps=steps, folder=folder.as_posix())),
                 folder / 'pipeline.config')


def run(script, *arguments, folder):
    command = [sys.executable, script, '--pipeline_config_path', folder / 'pipeline.config', *arguments]
    subprocess.run([str(word) for word in command], check=True)


if __name__ == '__main__':
    main()
