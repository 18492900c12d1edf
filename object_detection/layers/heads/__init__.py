"""Layers that turn feature maps into box encodings and class scores."""
