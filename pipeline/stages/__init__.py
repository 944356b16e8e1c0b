"""One thin file per stage: read what dvc.yaml declares, call the phase's pure core, publish what dvc.yaml declares."""
