"""What a task measures while it trains, one file each: `metrics(labels, logits)`, figures of each row by name."""
