"""The receiver: bytes in, committed jobs out. The only process that the internet reaches; it calls nobody."""
