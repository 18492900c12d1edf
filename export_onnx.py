"""Export a trained model to ONNX: checkpoint and pipeline.config in, model.onnx out."""
from object_detection.commands.export_onnx import run

if __name__ == '__main__':
    run()
