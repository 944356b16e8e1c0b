"""What decides a result (the recipe), and where and how it is made (the execution), as typed, strict values."""
