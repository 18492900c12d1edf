"""python -m object_detection.exporter_main_v2 or python object_detection/exporter_main_v2.py, as with the reference."""
import sys
from pathlib import Path

if not __package__:  # run by its path: Python has put this file's folder where that of the package belongs
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from object_detection.commands.exporter_main_v2 import run

if __name__ == '__main__':
    run()
