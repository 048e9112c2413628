# SPDX-License-Identifier: GPL-2.0
"""Finds reports of kernel bugs in a guest's console."""

import re

#: What the kernel's checkers print. A report makes a run fail whatever the
#: script inside said.
_REPORT = re.compile(
    r"""
      \bBUG:\s                        # KASAN, bad access, sleeping in atomic context, soft lockup
    | kernel\ BUG\ at\b
    | \bWARNING:\s                    # WARN_ON, lockdep, suspicious RCU usage
    | \bOops:\s
    | \bKernel\ panic\b
    | general\ protection\ fault
    | \bINFO:\ task\ .*\ blocked\ (?:for|on)\b
    | \bINFO:\ (?:trying\ to\ register\ non-static\ key|possible\ )
    | rcu.*(?:detected\ (?:expedited\ )?stalls|self-detected\ stall)
    | \bUBSAN:\s
    | kmemleak:\ \d+\ new\ suspected
    | \bODEBUG:\s
    | list_(?:add|del)\ corruption
    | \bCFI\ failure\ at\b            # a function called by another type than its own
    | refcount_t:\s
    | \w+:\ panicked\ at\b           # Rust, with the name of the module
    | \bDEBUG_LOCKS_WARN_ON\b
    | sysfs:\ cannot\ create\ duplicate
    | \bunregister_netdevice:\ waiting\b
    """,
    re.VERBOSE,
)

#: Lines that match by chance and say nothing about this project.
_HARMLESS = re.compile(
    r"""
      Spectre\ V2\ :\ WARNING:        # mitigations switched off in a throw-away guest
    | \[Firmware\ (?:Bug|Warn)\]
    | clocksource:\ .*WARNING
    """,
    re.VERBOSE,
)


def reports(console: str) -> list[str]:
    """First lines of all reports in the text of a console, in order."""
    return [
        line.strip()
        for line in console.splitlines()
        if _REPORT.search(line) and not _HARMLESS.search(line)
    ]
