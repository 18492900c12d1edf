"""Detection models: preprocess, predict, postprocess, loss; build.py alone reads the model config."""
