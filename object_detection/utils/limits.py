"""Limits that several rooms share."""

# TensorFlow decodes a JPEG only if its pixels take less than 2**29 bytes. This is the limit of pictures of all formats:
# none with more pixels is written into a record, or accepted in one.
MOST_JPEG_BYTES = 1 << 29
MOST_PIXELS = (MOST_JPEG_BYTES - 1) // 3  # 178.9 megapixels with three channels
# A file with more pixels is a decompression bomb, and not opened. Phones have up to 200 megapixels, which are shrunk.
MOST_PIXELS_OPENED = 256_000_000
