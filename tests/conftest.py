"""What holds for every test."""

from hypothesis import settings

# The gate must give the same answer twice: its examples are fixed, and no slow machine may fail them. To look
# for new ones: pytest --hypothesis-profile=explore.
settings.register_profile("gate", derandomize=True, database=None, deadline=None)
settings.register_profile("explore", max_examples=5_000, deadline=None, print_blob=True)
settings.load_profile("gate")
