"""Detect objects in pictures, videos, or what a camera shows."""
from object_detection.commands.detect import run

if __name__ == '__main__':
    run()
