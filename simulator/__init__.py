"""Rounds without hardware: the real device and hub code in a made-up world that a seed repeats."""
