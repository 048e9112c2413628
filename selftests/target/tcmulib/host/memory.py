# SPDX-License-Identifier: GPL-2.0
"""Kernel memory of commands in flight, both implementations side by side."""

import json
from typing import Any

from . import Lab, need


def main(lab: Lab, arguments: list[str]) -> int:
    """Measures in a guest for each, and prints what they need for a command."""
    found: dict[str, list[dict[str, Any]]] = {}
    for implementation in lab.implementations:
        result = lab.run(implementation, arguments, live=True)
        need(result, implementation)
        text = (result.folder / "per-command.json").read_text(encoding="utf-8")
        found[implementation] = json.loads(text)
        if not found[implementation]:
            raise RuntimeError(f"{result.folder} has no measurements")
    if len(found) == 2:
        for line in compare(found["rust"], found["c"]):
            print(line, flush=True)
    return 0


def compare(rust: list[dict[str, Any]], c: list[dict[str, Any]]) -> list[str]:
    """A table of bytes of bookkeeping for each command in flight, and a verdict."""
    lines = ["", "Bytes of kernel memory for each command in flight, outside the shared area:"]
    lines.append(f"{'READs':>6}{'KiB':>6}{'rust':>10}{'c':>10}{'ratio':>8}")
    above = 0
    for ours, theirs in zip(rust, c, strict=True):
        count, size = ours["commands"], ours["size"]
        if (count, size) != (theirs["commands"], theirs["size"]):
            raise RuntimeError("the two implementations were not measured alike")
        each, other = ours["own"] / count, theirs["own"] / count
        above += each > other
        ratio = f"{each / other:8.2f}" if other else f"{'-':>8}"
        lines.append(f"{count:>6}{size >> 10:>6}{each:>10.1f}{other:>10.1f}{ratio}")
    lines.append(f"verdict: Rust needs more than C in {above} of {len(rust)} rows")
    return lines
