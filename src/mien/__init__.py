"""mien: facial-expression recognition, from FER-2013 to a face in a photo."""

__version__ = "0.1.0"
