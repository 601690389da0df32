"""The archive: every entry whole, as it was posted, where nobody can change it; a chain of objects in a bucket."""
