"""The doors through which handsets and banks reach the branch; thin, every decision is taken in `core`."""
