"""The TF2 Detection Zoo: its models listed, downloaded, and configured for records of one's own.

python -m object_detection.zoo --help
"""
