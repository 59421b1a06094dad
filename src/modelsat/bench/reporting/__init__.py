"""A result as words, tables, plots and a page."""
