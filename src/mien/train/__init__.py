"""Training: a recipe and a data set in, a run folder out."""
