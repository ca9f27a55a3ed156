"""Tests of what the handheld knows of the machine under it."""
