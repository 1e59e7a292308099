"""The real server's container, and the stack around it, driven from the command line.

`engine` finds Docker or says in one line why there is none; `images` brings images. `serve` is `modelport serve
--container`: `command` says what the container runs, `single` starts, watches and stops it. `stack` is `modelport up |
down | logs | ps`, done by `compose`.
"""
