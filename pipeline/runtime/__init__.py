"""What carries the work and decides no result: processes, progress, the Spark session, cores, git."""
