"""Conductors: they read, let ``rating`` decide, and post until the store and the decision agree."""
