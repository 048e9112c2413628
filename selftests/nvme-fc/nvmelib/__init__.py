# SPDX-License-Identifier: GPL-2.0
"""Host and target of NVMe over Fibre Channel in one machine, for the tests."""
