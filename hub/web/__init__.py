"""The pages on which branch staff follow the day, settle conflicts and hand out routes."""
