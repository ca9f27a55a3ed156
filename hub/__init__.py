"""The branch: takes in what the handsets signed, keeps the books, and hands out the next routes."""
