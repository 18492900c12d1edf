"""Export a trained model to LiteRT: checkpoint and pipeline.config in, model.tflite out."""
from object_detection.commands.export_tflite_graph_tf2 import run

if __name__ == '__main__':
    run()
