"""What carries work and decides none of it: processes, progress, the Spark session, cores, git."""
