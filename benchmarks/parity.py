"""Compare the engine with the golden numbers of the reference.

  python benchmarks/parity.py [--golden DIR] [NAME ...]

DIR holds NAME.json and NAME.npz as tests/golden, the default, does; the configs are tests/golden/NAME.config or, in
another folder of golden numbers, those of DIR/../configs. Prints a table and ends with code 1 if
anything is out of tolerance (1e-4 relative, or five times how far the reference is from itself).
"""
import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
FAMILIES = 'centernet', 'efficientdet', 'faster_rcnn', 'mask_rcnn', 'ssd'
COLUMNS = '{:30s} {:>5s} {:>8s}  {:>17s}  {:>9s}  {:>17s}  {:>17s}'


def main():
    from object_detection.utils import environment
    environment.prepare_tensorflow()
    from tests.support import model_parity, parity
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument('names', nargs='*', metavar='NAME', help='default: every golden of the folder')
    arguments.add_argument('--golden', type=Path, default=parity.HERE, metavar='DIR')
    options = arguments.parse_args()
    names = options.names or sorted(path.stem for path in options.golden.glob('*.json')
                                    if path.stem.startswith(FAMILIES))
    print('worst difference / tolerance, relative')
    print(COLUMNS.format('model', 'keys', 'values', 'predictions', 'found', 'losses', 'gradient norms'))
    failures = []
    for name in names:
        result = model_parity.compare(name, folder=options.golden)
        keys = str(result.keys) if not result.missing + result.unexpected else 'differ'
        print(COLUMNS.format(name, keys, f'{result.parameters / 1e6:.1f}M', *(
            '{:.1e} / {:.1e}'.format(*result.worst(kind)) if kind != 'detections' else f'{result.detections[0]:.1%}'
            for kind in ('predictions', 'detections', 'losses', 'gradients'))), flush=True)
        failures += [f'{name}: {line}' for line in result.failures()]
    print('\n'.join(failures) or 'all within tolerance')
    return 1 if failures else 0


if __name__ == '__main__':
    sys.exit(main())
