# SPDX-License-Identifier: GPL-2.0
"""Counters of the client's transport, from /proc/self/mountstats."""

from dataclasses import dataclass, fields


@dataclass(frozen=True)
class Transport:
    """The line ``xprt: rdma`` of a mount, in the order in which the kernel prints it."""

    port: int
    bind_count: int
    #: How often it has connected.
    connect_count: int
    connect_time: int
    idle_time: int
    sends: int
    recvs: int
    bad_xids: int
    request_slots: int
    backlog: int
    read_chunks: int
    write_chunks: int
    reply_chunks: int
    request_bytes: int
    reply_bytes: int
    pullup_copy: int
    fixup_copy: int
    hardway_register: int
    failed_marshal: int
    bad_reply: int
    nomsg_call: int
    mrs_recycled: int
    mrs_orphaned: int
    mrs_allocated: int
    local_inv_needed: int
    #: How often a Send found no free Send context.
    empty_sendctx_q: int
    reply_waits_for_send: int


def transports(mountstats: str, where: str) -> list[Transport]:
    """The RDMA transports of what is mounted at `where`."""
    found = []
    inside = False
    for line in mountstats.splitlines():
        words = line.split()
        if words[:1] == ["device"]:
            inside = words[2:5] == ["mounted", "on", where]
        elif inside and words[:2] == ["xprt:", "rdma"]:
            values = [int(word) for word in words[2:]]
            names = len(fields(Transport))
            assert len(values) == names, f"{len(values)} counters of a transport, not {names}"
            found.append(Transport(*values))
    return found
