"""Folder of pictures to records: scan, pictures, duplicates, boxes, split, report."""
