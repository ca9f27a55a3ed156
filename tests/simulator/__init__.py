"""Tests of the made-up world itself."""
