"""Classification networks without detection parts: images in, feature maps of increasing stride out."""
