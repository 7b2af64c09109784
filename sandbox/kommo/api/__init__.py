"""The account host's routes, a file for each part of the reference."""
