"""What decides a result (the recipe), and where and how it is computed (the execution), as typed, strict values."""
