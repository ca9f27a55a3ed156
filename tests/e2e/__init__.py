"""Whole programs, killed and cut off at chosen moments."""
