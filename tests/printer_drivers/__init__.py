"""Tests of the way from document to paper."""
