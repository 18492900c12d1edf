"""Checkpoints in the format of the TF2 Object Detection API: find, read, restore, write.

A checkpoint is an object graph (nodes, named edges, variables) and the values of its variables.

    find.py          which checkpoint a path means; which one of a folder is the newest
    saved.py         a checkpoint's graph and all its values
    restore.py       give a model the values of a checkpoint; fine-tune
    manager.py       training's ckpt-1, ckpt-2, ...: resume, save
    slim.py          take the optimizer's slots out of an older one
    object_graph.py  the graph of our own objects, written down, and walked beside that of a checkpoint
"""
from object_detection.checkpoints.find import load, newest
from object_detection.checkpoints.manager import Manager
from object_detection.checkpoints.object_graph import keys
from object_detection.checkpoints.restore import fine_tune, restore_model
from object_detection.checkpoints.saved import Saved

__all__ = ['Manager', 'Saved', 'fine_tune', 'keys', 'load', 'newest', 'restore_model']
