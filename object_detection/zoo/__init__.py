"""The TF2 Detection Zoo: list its models, download one, configure it for your own records.

python -m object_detection.zoo --help
"""
