"""A consumer as it is seen from outside: metrics, probes and its state as JSON, over HTTP."""
