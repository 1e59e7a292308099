"""`modelport tune`: the settings of a server under which it holds a bound at the highest rate.

settings   what is tried
servers    a server of its own with such settings, started and ended
halving    many settings for a short time, the better half for longer
duel       the best one against the defaults, in turns
evidence   the files that are left
"""
