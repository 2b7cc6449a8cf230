"""Zero-shot localisation, measured: does the map towards a text lie on what the text names? ``python -m cocoa_pl.localise --help``."""
