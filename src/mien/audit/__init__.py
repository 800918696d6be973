"""What is wrong with a data set: copies, leaks, unusable pictures, doubtful labels."""

from mien.audit.cleaning import cleaned

__all__ = ["cleaned"]
