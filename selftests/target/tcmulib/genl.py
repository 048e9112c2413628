# SPDX-License-Identifier: GPL-2.0
"""The TCM-USER generic netlink family, spoken byte by byte.

Only for answers that a well-behaved client, such as the daemon, never gives.
"""

import struct

from ksftlib import genl
from ksftlib.ktap import Context

ADDED, REMOVED, RECONFIG, ADDED_DONE, REMOVED_DONE, RECONFIG_DONE, SET_FEATURES = range(1, 8)

ATTR_DEVICE, ATTR_MINOR, ATTR_CMD_STATUS, ATTR_DEVICE_ID, ATTR_SUPP_KERN_CMD_REPLY = 1, 2, 7, 8, 9

_VERSION = 2


class Family(genl.Family):
    """A socket in the family's multicast group."""

    def __init__(self, context: Context) -> None:
        super().__init__(context, "TCM-USER", _VERSION)

    def done(self, command: int, device_id: int, status: int) -> int:
        """One of the DONE commands; returns what the kernel answers."""
        return self.request(
            command,
            {
                ATTR_CMD_STATUS: struct.pack("=i", status),
                ATTR_DEVICE_ID: struct.pack("=I", device_id),
            },
        )

    def set_features(self, wait_for_reply: bool) -> int:
        """SET_FEATURES."""
        return self.request(SET_FEATURES, {ATTR_SUPP_KERN_CMD_REPLY: bytes([wait_for_reply])})
