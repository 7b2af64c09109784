"""The operator console: log-in, connections with their consent and checks, and metrics, on a private port."""
