"""`python -m sandbox`: both vendors, the drive and the control plane, until SIGTERM or SIGINT."""

import argparse
import json
import signal
import sys
import threading
from pathlib import Path

from sandbox import kommo, xero
from sandbox.kit.stand import PORTS, Sandbox

FIRST_PORT = 9100


def read_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m sandbox", description=__doc__)
    for offset, name in enumerate(PORTS):
        parser.add_argument(f"--{name}-port", type=int, default=FIRST_PORT + offset, help="0: any free port")
    parser.add_argument("--time-factor", type=float, default=1.0, help="60 makes a vendor's minute last a second")
    parser.add_argument("--seed", choices=["demo", "empty"], default="demo")
    parser.add_argument("--port-file", type=Path, help="gets the line that is printed when all is up")
    return parser.parse_args(arguments)


def main() -> None:
    asked = read_arguments()
    sandbox = Sandbox(
        [kommo.open_vendor, xero.open_vendor],
        seed=asked.seed,
        numbers={name: getattr(asked, f"{name}_port") for name in PORTS},
        settings={"time_factor": asked.time_factor},
    )
    enough = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: enough.set())
    with sandbox:
        line = json.dumps(sandbox.ready)
        if asked.port_file is not None:
            asked.port_file.write_text(line + "\n")
        sys.stdout.write(line + "\n")
        sys.stdout.flush()
        enough.wait()


if __name__ == "__main__":
    main()
