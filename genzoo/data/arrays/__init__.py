"""Arrays: what their numbers mean, and how rows are read from memory or from mapped files."""
