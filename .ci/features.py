"""Checks every feature of every published crate by itself, and no feature, and the default ones.

Features of the workspace are unified in an ordinary build, so a crate that forgets a feature of its own there still
compiles: a user who picks one feature would be the first to see it. Warnings are errors, of the checked crate only.
"""

import json
import subprocess
import sys


def selections(package: dict) -> list[list[str]]:
    features = sorted(package["features"])
    if not features:
        return [[]]
    alone = [name for name in features if name != "default"]
    return [["--no-default-features"], []] + [["--no-default-features", "--features", name] for name in alone]


def main() -> int:
    metadata = json.loads(
        subprocess.run(
            ["cargo", "metadata", "--no-deps", "--format-version", "1"], check=True, capture_output=True, text=True
        ).stdout
    )
    published = [package for package in metadata["packages"] if package["publish"] != []]
    if not published:
        print("no published crate found", file=sys.stderr)
        return 1
    for package in published:
        for selection in selections(package):
            command = ["cargo", "clippy", "-q", "--no-deps", "-p", package["name"], *selection, "--", "-D", "warnings"]
            print("+", *command, flush=True)
            if subprocess.run(command).returncode != 0:
                chosen = " ".join(selection) or "the default features"
                print(f"{package['name']} fails with {chosen}", file=sys.stderr)
                return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
