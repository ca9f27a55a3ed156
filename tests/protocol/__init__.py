"""Tests of what device and hub share."""
