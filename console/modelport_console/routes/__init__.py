"""Who is asked for which page, room by room."""
