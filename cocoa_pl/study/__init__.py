"""The paper's verification, on any encoder and labelled data: are the features of the corpus found? ``python -m cocoa_pl.study --help``."""
