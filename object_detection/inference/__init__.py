"""Run any exported detector on pictures: SavedModels, .tflite and .onnx files, checkpoints.

load.py: from a path to a Runner. detections.py: what it returns for each picture. images.py: from a picture to a
network's input and back. saved_model.py, lite.py, onnx.py: one file per format, each importing its library when a model
is loaded. evaluate.py: the metrics of a Runner on records.
"""
