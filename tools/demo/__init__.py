"""A day of video generation on a local AWS, beside the values worked out by hand."""
