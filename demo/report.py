"""Print where the files of the demo are, and how good its detector is.

    python -m demo.report out/demo
"""
import json
import sys
from os import PathLike
from pathlib import Path


def main(folder: str | PathLike) -> None:
    folder = Path(folder)
    metrics = json.loads((folder / 'model' / 'run.json').read_text(encoding='utf-8'))['checkpoints']
    newest = max(metrics.values(), key=lambda entry: entry['step'])
    mean, at_half = (newest['eval'][f'DetectionBoxes_Precision/{name}'] for name in ('mAP', 'mAP@.50IOU'))
    print(f'''
The demo is done.
  pictures            {folder / "pictures"}
  records, label map  {folder / "data"}
  checkpoints         {folder / "model"}
  exported detector   {folder / "exported" / "saved_model"}
  curves, pictures    {Path(sys.executable).with_name("tensorboard")} --logdir {folder / "model"}
After {newest["step"]} steps, on the test pictures: mAP@.50IOU {at_half:.3f}, mAP {mean:.3f}''')


if __name__ == '__main__':
    main(*sys.argv[1:])
