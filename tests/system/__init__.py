"""The whole product as real processes, against the sandbox: what the vendors' books say is what happened."""
