# SPDX-License-Identifier: GPL-2.0
"""What the selftests of all subsystems share: it knows of no subsystem.

A folder of selftests has a symbolic link to it beside its programs, and names the link in TEST_FILES.
"""
