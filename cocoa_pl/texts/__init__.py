"""Texts that pictures are compared with: prompts and templates, lists of names, what to leave out of a foil. No torch here."""
