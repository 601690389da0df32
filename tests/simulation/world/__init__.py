"""The world that the engine is put into: applications, clocks, a bus, a queue, a store, and functions that die."""
