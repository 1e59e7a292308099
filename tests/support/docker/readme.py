"""The README's block of commands for the stack: its lines are run as they stand, and what they print compared."""

import re
import subprocess

from tests.support.docker.stack import ROOT, Stack


class Commands:
    """The block that begins with `$ docker compose up`: each command with the output that the README shows."""

    def __init__(self, readme: str) -> None:
        (block,) = re.findall(r"```text\n(\$ docker compose up\n.*?)```", readme, re.DOTALL)
        parts = re.split(r"^\$ (.*)\n", block, flags=re.MULTILINE)[1:]
        self.shown = dict(zip(parts[::2], parts[1::2], strict=True))

    def start_in_background(self, command: str, stack: Stack) -> subprocess.Popen:
        assert command in self.shown
        with (stack.folder / "up.log").open("w") as log:
            return subprocess.Popen(
                command.split(), env=stack.environment, cwd=ROOT, stdout=log, stderr=subprocess.STDOUT
            )

    def run(self, command: str, stack: Stack) -> str:
        assert command in self.shown
        return stack.run(*command.split()).stdout


def skeleton(output: str) -> list[str]:
    """The lines without what differs from run to run: numbers, and the widths and colours of tables."""
    lines = re.sub(r"\x1b\[[0-9;]*[A-Za-z]|[─━┃│┏┓┗┛└┘┡┩╇┳┴]", " ", output).splitlines()
    return [" ".join(re.sub(r"[\d.,\[\]]+", " ", line).split()) for line in lines if line.strip(" -+|")]
