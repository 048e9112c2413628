#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
# lab: timeout=480 tools=yes impl=c host=tcmulib.host.hazards
"""Runs one test that may leave the kernel unusable; the verdict is what became of both.

For a virtual machine of its own, which ends soon after this does. tcmulib.host.hazards runs all the tests
that the C modules are spared.
"""

import argparse
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

_HERE = Path(__file__).resolve().parent

#: Seconds that the test gets. Most of these do not end, but one that does may be on a busy machine.
_LIMIT = 90.0

#: Seconds between two looks at the processes: what has not moved in between is stuck.
_APART = 3.0

#: Seconds until the machine is reset: what is stuck would hold up a shutdown.
_END = 10.0

#: Functions of a stack that say nothing.
_DULL = re.compile(r"(ret_from_fork|kthread|worker_thread|entry_SYSCALL|do_syscall|__schedule$|"
                   r"schedule|__x64_sys|vfs_|ksys_|asm_|wait_for_c|__wait_for|__refrigerator)")  # fmt: skip

#: Functions shown of a stack.
_DEPTH = 5


def run(program: str, test: str) -> tuple[str, bool]:
    """Output of the test, and whether it came to its end."""
    environment = {**os.environ, "KSFT_C_WEDGES": "run"}
    # To a file: a child that is stuck keeps a pipe open.
    with open("/tmp/output", "w+", encoding="utf-8") as output:
        child = subprocess.Popen(
            [f"./{program}", test], cwd=_HERE, env=environment, stdin=subprocess.DEVNULL,
            stdout=output, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
        try:
            child.wait(_LIMIT)
            ended = True
        except subprocess.TimeoutExpired:
            os.killpg(child.pid, signal.SIGKILL)
            ended = False
        output.seek(0)
        return output.read(), ended


class Process:
    """One look at a process, or thread of the kernel."""

    def __init__(self, folder: Path) -> None:
        stat = (folder / "stat").read_text(encoding="utf-8", errors="replace")
        name, _, rest = stat.partition("(")[2].rpartition(")")
        fields = rest.split()
        self.name = name
        self.state = fields[0]
        #: Ticks spent in the kernel.
        self.system = int(fields[12])


def look() -> dict[str, Process]:
    """All processes, by number."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        if folder.name != str(os.getpid()):
            try:
                found[folder.name] = Process(folder)
            except (FileNotFoundError, ProcessLookupError):
                continue
    return found


def stack(number: str) -> str:
    """Where in the kernel a process sleeps."""
    try:
        text = Path("/proc", number, "stack").read_text(encoding="utf-8")
    except (FileNotFoundError, ProcessLookupError):
        return ""
    functions = re.findall(r"\] (\S+?)\+0x", text)
    return " <- ".join([name for name in functions if not _DULL.match(name)][:_DEPTH])


def stuck() -> list[str]:
    """What neither sleeps so that it can be ended, nor gets out of the kernel."""
    before = look()
    time.sleep(_APART)
    found = []
    ticks = os.sysconf("SC_CLK_TCK") * _APART
    for number, now in look().items():
        then = before.get(number)
        if then is None or then.name != now.name:
            continue
        if now.state == then.state == "D":
            found.append(f"{now.name} waits: {stack(number)}")
        elif now.system - then.system > 0.7 * ticks:
            found.append(f"{now.name} loops in the kernel: {running(now.name)}")
    return sorted(set(found), key=lambda line: "loops" not in line)


def running(name: str) -> str:
    """Where in the kernel a process is that is on another processor just now."""
    subprocess.run(["dmesg", "--clear"], check=True)
    Path("/proc/sysrq-trigger").write_text("l", encoding="ascii")
    time.sleep(1)
    text = subprocess.run(["dmesg"], check=True, capture_output=True, text=True).stdout
    for part in text.split("CPU: ")[1:]:
        # This very process is on a processor, too.
        if f"Comm: {name} " in part and "write_sysrq_trigger" not in part:
            functions = re.findall(r"(?:RIP: 0010:|\] {2})(\w+)\+0x", part)
            return " <- ".join([f for f in functions if not _DULL.match(f)][:_DEPTH])
    return "?"


def complaint(output: str) -> str:
    """Why the test failed, as it says."""
    errors = re.findall(r"^# (\w*(?:Error|Exception)\b.*)$", output, re.MULTILINE)
    return errors[0] if errors else "no reason given"


def main() -> int:
    """Runs the test and says what became of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("program")
    parser.add_argument("test")
    arguments = parser.parse_args()
    output, ended = run(arguments.program, arguments.test)
    print(output)
    lines = stuck()
    if lines:
        print(f"verdict: {'; '.join(lines[:2])}")
    elif not ended:
        print("verdict: the test does not end")
    elif re.search(r"^ok 1 .*# SKIP", output, re.MULTILINE):
        print("verdict: skipped")
    elif re.search(r"^ok 1 ", output, re.MULTILINE):
        print("verdict: passes")
    else:
        print(f"verdict: fails: {complaint(output)}")
    sys.stdout.flush()
    subprocess.Popen(
        ["sh", "-c", f"sleep {_END}; echo b > /proc/sysrq-trigger"], start_new_session=True
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
