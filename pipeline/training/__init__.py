"""Training: workers started and supervised by us, one straight loop, exact synchronous gradient descent."""
