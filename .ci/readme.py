"""Runs the `cargo run` commands of a README, so that what it promises is true.

Every line of a `sh` block is a command. `--release` is left out: it changes the speed, not the outcome. Commands that
fetch, build or check the project itself are what we are inside of; a command of any other sort is an error, so that
nobody adds one that is never tried.
"""

import re
import shlex
import subprocess
import sys

KNOWN = ("git clone", "cd ", "./check", "cargo build", "cargo add")


def main(path: str) -> int:
    with open(path, encoding="utf-8") as file:
        blocks = re.findall(r"^```sh\n(.*?)^```", file.read(), flags=re.MULTILINE | re.DOTALL)
    lines = [line.split(" #")[0].strip() for block in blocks for line in block.splitlines()]
    commands = [line for line in lines if line and not line.startswith("#")]
    runs = [line for line in commands if line.startswith("cargo run")]
    strange = [line for line in commands if line not in runs and not line.startswith(KNOWN)]
    if strange:
        print(f"{path}: no way to try `{strange[0]}`", file=sys.stderr)
        return 1
    for line in runs:
        command = [word for word in shlex.split(line) if word != "--release"]
        print("+", *command, flush=True)
        code = subprocess.run(command, stdin=subprocess.DEVNULL).returncode
        if code != 0:
            print(f"{path}: `{line}` ended with exit code {code}", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
