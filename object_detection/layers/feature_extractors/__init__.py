"""Backbone and neck joined: what a config's feature_extractor { type } stands for.

SSD, CENTER_NET and FASTER_RCNN map each type to its constructor. All take the config's fields as keywords
(conv_hyperparams as Hyperparams), and use their own default for one left out. Each module has a table of its own types;
docs/adding_a_backbone.md shows how one is added.
"""
import importlib

MODULES = (
    'center_net',
    'efficientnet_bifpn',
    'faster_rcnn',
    'fpn',
    'multi_resolution',
)
SSD, CENTER_NET, FASTER_RCNN = {}, {}, {}

for _module in MODULES:
    _types = vars(importlib.import_module(f'{__name__}.{_module}'))
    SSD |= _types.get('SSD', {})
    CENTER_NET |= _types.get('CENTER_NET', {})
    FASTER_RCNN |= _types.get('FASTER_RCNN', {})
