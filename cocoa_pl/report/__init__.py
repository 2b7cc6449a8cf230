"""A finished look at an encoder as files and pictures."""
