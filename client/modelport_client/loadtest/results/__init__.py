"""What a run showed: its latencies, errors and seconds, and whether it is a result at all."""
