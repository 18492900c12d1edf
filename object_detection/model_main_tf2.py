"""python -m object_detection.model_main_tf2, under the reference's name."""
from object_detection.commands.model_main_tf2 import run

if __name__ == '__main__':
    run()
