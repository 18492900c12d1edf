"""Boxes that people have drawn: one file per format; match.py finds the pictures, labels.py the labels."""
