"""How data is published, stored and trusted: atomic files and folders, manifests, shards."""
