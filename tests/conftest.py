"""Tests compute in their own process what the suite computes in its workers, so both need the same environment."""
from object_detection.utils import environment

environment.prepare_tensorflow()
