"""Export a trained model: checkpoint and pipeline.config in, SavedModel out."""
from object_detection.commands.exporter_main_v2 import run

if __name__ == '__main__':
    run()
