"""Evaluate detectors of any format on records: the metrics of training, and the speed."""
from object_detection.commands.evaluate import run

if __name__ == '__main__':
    run()
