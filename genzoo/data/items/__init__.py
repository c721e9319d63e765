"""Map-style datasets of other people, read item by item."""
