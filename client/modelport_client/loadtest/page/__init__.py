"""A report of a load in one file: tables, and drawings as SVG in the page."""
