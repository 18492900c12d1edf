"""Modules under the reference's names for writing records. Our own way to write them is the room records."""
