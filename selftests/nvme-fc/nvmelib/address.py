# SPDX-License-Identifier: GPL-2.0
"""Names of ports in a Fibre Channel fabric."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Address:
    """The world wide names of a port and of the node that has it."""

    node: int
    port: int

    def __str__(self) -> str:
        return f"{self.port:#018x}"

    @property
    def traddr(self) -> str:
        """As host and target take it."""
        return f"nn-{self.node:#018x}:pn-{self.port:#018x}"

    def words(self, prefix: str = "") -> str:
        """As fcloop takes it."""
        return f"{prefix}wwnn={self.node:#x},{prefix}wwpn={self.port:#x}"


def host_address(number: int = 1) -> Address:
    """That of the host's port with a number."""
    return Address(0x10001100AA000000 + number, 0x20001100AA000000 + number)


def target_address(number: int = 1) -> Address:
    """That of the target's port with a number."""
    return Address(0x10001100AB000000 + number, 0x20001100AB000000 + number)
