# SPDX-License-Identifier: GPL-2.0
"""A network device with RDMA over Ethernet in software on it.

Initiator and target of iSER both use the machine's own network namespace. To an address of the same
namespace rxe delivers by itself, so that nothing gets lost on the way.
"""

from functools import partial
from pathlib import Path

from ksftlib.ktap import Context, Skip
from ksftlib.module import modprobe

from .system import run

DEVICE, ADDRESS = "isr0", "10.9.9.1"

#: In the same network, and nobody's.
NOBODY = "10.9.9.77"


class Link:
    """A network device of a machine, with this address, and an RDMA device on it.

    `number` counts the devices in the order of their names.
    """

    def __init__(self, context: Context, number: int, address: str) -> None:
        for name in ("virtio_net", "rdma_rxe"):
            if modprobe(name).returncode:
                raise Skip(f"the kernel has no {name}")
        folder = Path("/sys/class/net")
        found = sorted(each.name for each in folder.iterdir() if (each / "device").exists())
        assert number < len(found), f"network devices: {found}"
        self.device = found[number]
        rdma = f"rxe{number}"
        run("ip", "addr", "add", f"{address}/24", "dev", self.device)
        run("ip", "link", "set", self.device, "up")
        run("rdma", "link", "add", rdma, "type", "rxe", "netdev", self.device)
        context.defer(partial(run, "rdma", "link", "delete", rdma, seconds=60))

    def has_carrier(self) -> bool:
        """Whether the cable is there."""
        return (Path("/sys/class/net") / self.device / "carrier").read_text().strip() == "1"


class Wire:
    """The device, and the RDMA device on it."""

    def __init__(self, context: Context) -> None:
        for name in ("veth", "rdma_rxe"):
            if modprobe(name).returncode:
                raise Skip(f"the kernel has no {name}")
        self._context = context
        lines = [
            f"link add {DEVICE} mtu 9000 type veth peer name {DEVICE}p mtu 9000",
            f"addr add {ADDRESS}/24 dev {DEVICE}", f"link set {DEVICE} up",
            f"link set {DEVICE}p up",
        ]  # fmt: skip
        run("ip", "-batch", "-", given="\n".join(lines))
        context.defer(partial(run, "ip", "link", "del", DEVICE))
        self.rdma = "rxe0"
        self.add_device()

    def add_device(self) -> None:
        """Makes the RDMA device."""
        run("rdma", "link", "add", self.rdma, "type", "rxe", "netdev", DEVICE)
        self._context.defer(self.delete_device)

    def delete_device(self) -> None:
        """Takes it away, which waits for all that use it. It may be gone already."""
        if (Path("/sys/class/infiniband") / self.rdma).exists():
            run("rdma", "link", "delete", self.rdma, seconds=60)
