"""python -m object_detection.export_tflite_graph_tf2, or by its path, as with the reference."""
import sys
from pathlib import Path

if not __package__:  # run by its path: Python has put this file's folder where that of the package belongs
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from object_detection.commands.export_tflite_graph_tf2 import run

if __name__ == '__main__':
    run()
