"""Training as each rank runs it: one straight loop, exact synchronous gradient descent."""
