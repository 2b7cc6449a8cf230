"""Which files are taken for pictures, by their names alone."""

EXTENSIONS = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff")
"""Endings of picture files, in small letters."""
