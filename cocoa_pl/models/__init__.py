"""Encoders, SSL modules, optimisers."""
