"""The screens in a real browser: worked through by fingers and by keypads, measured, and looked at."""
