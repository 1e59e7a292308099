"""The real server's container, and the stack around it, driven from the command line.

`engine` finds Docker or says in one line why there is none; `images` brings images; `single` is `modelport serve
--container`; `stack` is `modelport up | down | logs | ps`.
"""
