"""Heads: layers that turn feature maps into box encodings, class scores, masks and heatmaps."""
