"""Recognition over HTTP: an API, and a page that tries it. Never imports torch."""
