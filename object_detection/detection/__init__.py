"""detect.py: run a detector on pictures, videos and a camera, and write what it finds. Imports no TensorFlow.

sources.py: which files are meant. pictures.py and video.py: from a file to items (item.py). tiling.py: detection in
overlapping tiles. flow.py: decoding ahead of the network, and drawing and writing behind it, in threads. writers.py and
annotations.py: what is written.
"""
