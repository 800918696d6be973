"""Write readings: tables, pictures, videos, timelines."""

from mien.output.drawing import draw, overlay, save_picture, to_table
from mien.output.tables import Table, Tables, done_in, open_table

__all__ = [
    "Table",
    "Tables",
    "done_in",
    "draw",
    "open_table",
    "overlay",
    "save_picture",
    "to_table",
]
