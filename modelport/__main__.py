"""The modelport command."""


def main() -> int:
    """Run."""
    return 0
