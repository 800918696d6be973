"""Weights that others have published: where their files are, how they are read and loaded."""
