"""Verify a pipeline.config before the long run."""
from object_detection.commands.train_t2 import run

if __name__ == '__main__':
    run()
