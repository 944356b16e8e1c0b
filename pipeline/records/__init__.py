"""Every JSON file that one phase writes and another reads, declared once. Values only: `storage` does the I/O."""
