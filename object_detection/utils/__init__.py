"""What the scripts share: arguments, console, files, phases. Imports no TensorFlow."""
