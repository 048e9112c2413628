# SPDX-License-Identifier: GPL-2.0
"""A pair of network devices with RDMA on each, and what happens on the way between them.

The client is in the machine's network namespace and the server in one of its own: to an address
of the same namespace rxe would deliver without any device, and siw through the loopback device.
"""

from functools import partial
from pathlib import Path

from ksftlib.ktap import Context, Skip, diag
from ksftlib.module import Module, TestModule, modprobe

from .system import Namespace, run

#: Kinds of RDMA devices, and their modules. A Send of siw completes when TCP has taken it, one
#: of rxe when the peer has acknowledged it.
KINDS = {"siw": "siw", "rxe": "rdma_rxe"}

#: siw without two faults of the stock one (drivers/infiniband/sw/siw): with that one, a server that
#: closes a connection amid an RDMA Read loses the memory that it registered for it, and may not
#: see the first call of a connection.
_SIW = TestModule("siw_mended", "RDMA_SIW_MENDED")

CLIENT_DEVICE, SERVER_DEVICE = "nfs0", "nfs1"
CLIENT_ADDRESS, SERVER_ADDRESS = "10.8.8.1", "10.8.8.2"

#: Fewer packets, of which an emulated machine has few a second.
_MTU = "9000"

#: Length of the IP packet of rxe's acknowledgement: headers of IP, UDP and transport, the
#: acknowledgement itself and the checksum.
_ACK_LENGTH = 20 + 8 + 12 + 4 + 4


def _load(kind: str) -> bool:
    """Whether the kernel has now RDMA devices of this kind."""
    if kind == "siw" and not Module("siw").loaded():
        try:
            if not _SIW.loaded():
                _SIW.insert()
            return True
        except Skip as missing:
            diag(f"{missing.args[0]}: stock siw may warn when a server closes a connection")
            diag("and may lose the first call of one")
    return modprobe(KINDS[kind]).returncode == 0


class Wire:
    """Client's and server's device."""

    def __init__(self, context: Context, kind: str) -> None:
        if not _load(kind):
            raise Skip(f"the kernel has no {KINDS[kind]}")
        if modprobe("veth").returncode:
            raise Skip("the kernel has no veth")
        self.kind = kind
        self._context = context
        self.far = Namespace(context, "nfsd")
        # Their numbers differ: siw listens on each of its devices, by number, in one namespace.
        pair = f"link add {CLIENT_DEVICE} index 1001 mtu {_MTU} type veth peer name {SERVER_DEVICE}"
        self._ip(f"{pair} index 1002 mtu {_MTU} netns {self.far.name}",
                 *self._up(CLIENT_DEVICE, CLIENT_ADDRESS))  # fmt: skip
        context.defer(partial(run, "ip", "link", "del", CLIENT_DEVICE))
        self._ip(*self._up(SERVER_DEVICE, SERVER_ADDRESS), far=True)
        #: Of the server, for the client.
        self.address = SERVER_ADDRESS
        self.client = f"{kind}0"
        self.server = f"{kind}1"
        self.add_device()
        self._command("rdma", "link", "add", self.server, "type", kind,
                      "netdev", SERVER_DEVICE, far=True)  # fmt: skip
        context.defer(partial(self._delete, self.server))

    def _command(self, *command: str, far: bool = False) -> str:
        return run(*(self.far.command(*command) if far else command))

    def _ip(self, *lines: str, far: bool = False) -> None:
        """Many commands of one process: processes are slow on an emulated machine."""
        command = ("ip", "-batch", "-")
        run(*(self.far.command(*command) if far else command), given="\n".join(lines))

    @staticmethod
    def _up(device: str, address: str) -> tuple[str, str]:
        return f"addr add {address}/24 dev {device}", f"link set {device} up"

    def add_device(self) -> None:
        """Makes the client's RDMA device."""
        run("rdma", "link", "add", self.client, "type", self.kind, "netdev", CLIENT_DEVICE)
        self._context.defer(partial(self._delete, self.client))

    def delete_device(self) -> None:
        """Takes the client's RDMA device away."""
        self._delete(self.client)

    @staticmethod
    def _delete(name: str) -> None:
        """Waits for all that use it. It may be gone already."""
        if (Path("/sys/class/infiniband") / name).exists():
            run("rdma", "link", "delete", name, seconds=60)

    def cut(self) -> None:
        """From now on no packet gets through, in either direction, and nobody is told."""
        self._netem(CLIENT_DEVICE, "loss", "100%")
        self._netem(SERVER_DEVICE, "loss", "100%", far=True)

    def mend(self) -> None:
        """Takes away what `cut` and the delays have added."""
        for device, far in ((CLIENT_DEVICE, False), (SERVER_DEVICE, True)):
            if "noqueue" not in self._command("tc", "qdisc", "show", "dev", device, far=far):
                self._command("tc", "qdisc", "del", "dev", device, "root", far=far)

    def link(self, state: str) -> None:
        """Sets the client's device ``up`` or ``down``."""
        run("ip", "link", "set", CLIENT_DEVICE, state)

    def delay(self, milliseconds: int, *more: str) -> None:
        """Delays all packets of either direction, and does `more` of what netem can."""
        arguments = ("delay", f"{milliseconds}ms", *more)
        self._netem(CLIENT_DEVICE, *arguments)
        self._netem(SERVER_DEVICE, *arguments, far=True)

    def delay_acknowledgements(self, milliseconds: int) -> None:
        """Delays what acknowledges Sends of the client and nothing else: rxe only.

        A reply then comes before the completion of the Send that conveyed its call.
        """
        assert self.kind == "rxe", "TCP's acknowledgements complete nothing"
        udp = f"u32 match u16 {_ACK_LENGTH:#06x} 0xffff at 2 match ip protocol 17 0xff"
        for line in (
            f"qdisc replace {{}} root handle 1: prio bands 2 priomap {'0 ' * 16}",
            f"qdisc replace {{}} parent 1:2 handle 20: netem limit 10000 delay {milliseconds}ms",
            f"filter replace {{}} parent 1: protocol ip prio 1 {udp} flowid 1:2",
        ):
            words = line.format(f"dev {SERVER_DEVICE}").split()
            self._command("tc", *words, far=True)

    def _netem(self, device: str, *arguments: str, far: bool = False) -> None:
        if modprobe("sch_netem").returncode:
            raise Skip("the kernel has no netem")
        self._command("tc", "qdisc", "replace", "dev", device, "root", "netem",
                      "limit", "10000", *arguments, far=far)  # fmt: skip
