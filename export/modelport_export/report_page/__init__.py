"""`assets.extra/report.html`: the verdict of a version, as one file that needs no network."""
