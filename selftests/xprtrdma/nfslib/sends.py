# SPDX-License-Identifier: GPL-2.0
"""Posted Sends and their completions, from the trace events of rpcrdma."""

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from ksftlib.files import read, write
from ksftlib.ktap import Context, equal
from ksftlib.trace import Trace

_TRACING = Path("/sys/kernel/tracing")

#: KiB of the buffer for each processor.
_BUFFER = 16384

_FASTREG, _POST, _COMPLETE = "xprtrdma_mr_fastreg", "xprtrdma_post_send", "xprtrdma_wc_send"

_POSTED = re.compile(r"cq\.id=(\d+) cid=(-?\d+) \((\d+) SGEs?\) ?(signaled)?$")
_COMPLETED = re.compile(r"cq\.id=(\d+) cid=(-?\d+) status=(.*) \((\d+)/0x[0-9a-f]+\)$")


@dataclass(frozen=True)
class Send:
    """A Send that was posted, or one that has completed."""

    #: Number of the completion queue: one for each connection.
    queue: int
    #: Number of the Send context.
    context: int
    #: Work requests that were posted in one chain: registrations of memory, and the Send.
    requests: int = 1
    sges: int = 2
    signalled: bool = False
    #: Of the completion: 0 is success.
    status: "int | None" = None

    @property
    def posted(self) -> bool:
        """Whether this is the posting and not the completion."""
        return self.status is None


def parse(events: Iterable[tuple[str, str, str]]) -> list[Send]:
    """The Sends among events, each a task, a name and a text, in their order.

    A task posts what it has registered right after it.
    """
    registered: Counter[str] = Counter()
    found = []
    for task, name, text in events:
        if name == _FASTREG:
            registered[task] += 1
        elif name == _POST:
            match = _POSTED.search(text)
            assert match, f"{name}: {text}"
            queue, context, sges = (int(word) for word in match.groups()[:3])
            requests = 1 + registered.pop(task, 0)
            found.append(Send(queue, context, requests, sges, match[4] is not None))
        elif name == _COMPLETE:
            match = _COMPLETED.search(text)
            assert match, f"{name}: {text}"
            found.append(Send(int(match[1]), int(match[2]), status=int(match[4])))
    return found


@dataclass
class Summary:
    """What a number of Sends comes to."""

    posted: int = 0
    signalled: int = 0
    completed: int = 0
    #: Sends by how many work requests each has.
    requests: "Counter[int]" = field(default_factory=Counter)
    #: Work requests between two signalled Sends, or at either end, at most, of all connections.
    longest_gap: int = 0

    def __init__(self, sends: Iterable[Send]) -> None:
        self.posted = self.signalled = self.completed = self.longest_gap = 0
        self.requests = Counter()
        gaps: Counter[int] = Counter()
        for send in sends:
            if not send.posted:
                self.completed += send.status == 0
                continue
            self.posted += 1
            self.requests[send.requests] += 1
            if send.signalled:
                self.signalled += 1
                gaps[send.queue] = 0
            else:
                gaps[send.queue] += send.requests
                self.longest_gap = max(self.longest_gap, gaps[send.queue])

    @property
    def usual_requests(self) -> int:
        """How many work requests most of the Sends have."""
        return self.requests.most_common(1)[0][0]

    @property
    def ratio(self) -> float:
        """Signalled of the posted Sends."""
        return self.signalled / self.posted

    def __str__(self) -> str:
        kinds = ", ".join(f"{n} with {count} WRs" for count, n in sorted(self.requests.items()))
        return (
            f"posted {self.posted} ({kinds}), signalled {self.signalled}, ratio {self.ratio:.4f}, "
            f"completions {1000 * self.completed / self.posted:.0f} for 1000 Sends, "
            f"longest gap {self.longest_gap} WRs"
        )


class SendTrace:
    """Records from now on; it fails the test if the buffer was too small."""

    def __init__(self, context: Context, *more: str) -> None:
        buffer = _TRACING / "buffer_size_kb"
        before = re.match(r"\d+", read(buffer))
        write(buffer, str(_BUFFER))
        context.defer(partial(write, buffer, before[0] if before else "1408"))
        # One clock for all processors, so that the order is right.
        clock = re.search(r"\[(\S+)\]", read(_TRACING / "trace_clock"))
        write(_TRACING / "trace_clock", "global")
        context.defer(partial(write, _TRACING / "trace_clock", clock[1] if clock else "local"))
        self._trace = Trace(context, "rpcrdma", _FASTREG, _POST, _COMPLETE, *more)
        self._lost = self._trace.lost()

    def raw(self) -> list[tuple[str, str, str]]:
        """Task, name and text of each event so far."""
        events = self._trace.events_by_task()
        equal(self._trace.lost() - self._lost, 0, "events that were lost")
        return events

    def sends(self) -> list[Send]:
        """All Sends so far."""
        return parse(self.raw())
