"""Layers that turn the feature maps of a backbone into those that boxes are predicted from."""
