"""New faces for a class: a small generator, trained on training images alone."""
