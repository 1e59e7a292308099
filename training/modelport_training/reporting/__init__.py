"""What a person sees of a training: its progress, its curves, its report, its board."""
