"""The engine: detection models, their inputs, training and export, on the files of the TF2 Object Detection API."""
