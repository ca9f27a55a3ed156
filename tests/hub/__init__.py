"""Tests of the branch."""
