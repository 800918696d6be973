"""Recognition on many machines: sources are listed once and cut into parts; Ray's actors read them.

Each part is one Parquet file. The same command goes on with what is missing.
"""
