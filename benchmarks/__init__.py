"""One command per figure; `make bench` runs them all (run_all.py)."""
