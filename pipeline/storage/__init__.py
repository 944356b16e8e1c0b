"""How data is published, stored and verified: atomic files and folders, manifests, shards."""
