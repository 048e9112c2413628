# SPDX-License-Identifier: GPL-2.0
"""The lab: tools, kernel and virtual machine for building and testing lio-rust."""
