"""What the commands share: arguments, console, errors, files, shards, phases, environment. Imports no TensorFlow."""
