"""Tables: CSV and Parquet files, and frames of pandas."""
