"""What is wrong with a data set: copies, leaks, unusable pictures, doubtful labels."""

from mien.audit.exclude import read_exclude, without

__all__ = ["read_exclude", "without"]
