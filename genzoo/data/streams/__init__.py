"""Data larger than memory: shards that are read as training needs them."""
