# SPDX-License-Identifier: GPL-2.0
"""The part of stress_failover.py and stress_cuts.py on the host: two guests on two cables.

Runs in the lab; see Documentation/lab.rst. The guests say on their output what is to happen:
``cable 0: off``, ``cable 0: on``.
"""

import argparse
import contextlib
import json
import re
import socket
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

#: Seconds until the target has to be ready, and between two looks.
_READY, _LOOK = 900.0, 0.2


#: What a guest asks for.
_ORDER = re.compile(r"cable (\d): (on|off)")

#: Cables between the guests.
_CABLES = 2


class Cables:
    """The network devices of a guest, by QEMU's monitor."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def set(self, number: int, state: str) -> None:
        """``on`` or ``off``."""
        link = {"name": f"cable{number}", "up": state == "on"}
        with socket.socket(socket.AF_UNIX) as monitor:
            monitor.connect(str(self._path))
            stream = monitor.makefile("rw", encoding="utf-8")
            stream.readline()
            for command in (
                {"execute": "qmp_capabilities"},
                {"execute": "set_link", "arguments": link},
            ):
                stream.write(json.dumps(command) + "\n")
                stream.flush()
                answer = json.loads(stream.readline())
                while "event" in answer:
                    answer = json.loads(stream.readline())
                if "error" in answer:
                    raise RuntimeError(f"QEMU: {answer['error']}")


def _free_ports(count: int) -> list[int]:
    """So many of them: all are in use until the last one was found."""
    with contextlib.ExitStack() as probes:
        found = [probes.enter_context(socket.socket()) for _ in range(count)]
        for probe in found:
            probe.bind(("127.0.0.1", 0))
        return [int(probe.getsockname()[1]) for probe in found]


def _devices(end: str, ports: Sequence[int], guest: int) -> list[str]:
    words = []
    for number, port in enumerate(ports):
        words += [
            "-netdev", f"socket,id=cable{number},{end}=127.0.0.1:{port}",
            "-device", f"virtio-net-pci,netdev=cable{number},"
            f"mac=52:54:00:00:{number:02x}:{guest:02x},romfile=",
        ]  # fmt: skip
    return words


def _wait_for(guest: Any, text: str) -> None:
    deadline = time.monotonic() + _READY
    while text not in guest.output:
        if not guest.running or time.monotonic() > deadline:
            raise RuntimeError(f"no '{text}' of the guest in {guest.folder}")
        time.sleep(_LOOK)


def _follow(guest: Any, cables: Cables) -> None:
    """Does what the guest asks for, until it ends."""
    done = 0
    while guest.running:
        # The last one may not be complete.
        lines = guest.output.split("\n")[:-1]
        for line in lines[done:]:
            print(f"    {line}", flush=True)
            if found := _ORDER.fullmatch(line):
                cables.set(int(found[1]), found[2])
        done = len(lines)
        time.sleep(_LOOK)
    for line in guest.output.splitlines()[done:]:
        print(f"    {line}", flush=True)


def _once(lab: Any, implementation: str, arguments: list[str]) -> str:
    """The initiator's verdict, or why there is none."""
    ports = _free_ports(_CABLES)
    target = lab.start(implementation, ["target"], _devices("listen", ports, 1))
    try:
        _wait_for(target, "ready")
        monitor = Path(target.folder) / "monitor"
        initiator = lab.start(
            implementation, ["initiator", *arguments],
            [*_devices("connect", ports, 2), "-qmp", f"unix:{monitor},server=on,wait=off"],
        )  # fmt: skip
        _follow(initiator, Cables(monitor))
        result = initiator.wait()
    finally:
        with contextlib.suppress(OSError):
            (Path(target.folder) / "stop").touch()
    other = target.wait()
    for name, each in (("initiator", result), ("target", other)):
        if not each.ok:
            print(f"{name}: {each.problem()}; its console is {each.folder}/console")
            for report in each.reports[:10]:
                print(f"    {report}")
    lines = [line for line in result.output.splitlines() if line.startswith("verdict: ")]
    text = lines[-1].removeprefix("verdict: ") if lines else "no verdict"
    failed = not result.ok or not other.ok
    return f"FAILED: {text}" if failed and not text.startswith("FAILED") else text


def main(lab: Any, arguments: list[str]) -> int:
    """Runs it as often as asked for, with the modules of each implementation."""
    parser = argparse.ArgumentParser(prog="two_guests")
    parser.add_argument("--rounds", type=int, default=1)
    known, rest = parser.parse_known_args(arguments)
    failed = 0
    for implementation in lab.implementations:
        for number in range(1, known.rounds + 1):
            verdict = _once(lab, implementation, rest)
            failed += verdict.startswith("FAILED")
            print(f"verdict: {verdict} ({implementation} modules, round {number})", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit("lab/lab run failover, or cuts")
