"""python -m object_detection.exporter_main_v2, under the reference's name."""
from object_detection.commands.exporter_main_v2 import run

if __name__ == '__main__':
    run()
