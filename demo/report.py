"""The last words of the demo: where everything is, and how good the detector is.

    python -m demo.report out/demo
"""
import json
import sys
from pathlib import Path


def main(folder):
    folder = Path(folder)
    record = json.loads((folder / 'model' / 'metrics.json').read_text(encoding='utf-8'))
    newest = max(record.values(), key=lambda entry: entry['step'])
    mean, at_half = (newest['eval'][f'DetectionBoxes_Precision/{name}'] for name in ('mAP', 'mAP@.50IOU'))
    print(f'''
The demo is done.
  pictures            {folder / "pictures"}
  records, label map  {folder / "data"}
  checkpoints         {folder / "model"}
  exported detector   {folder / "exported" / "saved_model"}
  curves, pictures    .venv/bin/tensorboard --logdir {folder / "model"}
After {newest["step"]} steps, on the test pictures: mAP@.50IOU {at_half:.3f}, mAP {mean:.3f}''')


if __name__ == '__main__':
    main(*sys.argv[1:])
