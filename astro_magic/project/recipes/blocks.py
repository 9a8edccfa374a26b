"""The managed blocks that recipes put into a Dockerfile."""

from __future__ import annotations

__all__ = ["BLOCKS", "CERTIFICATES", "COMMANDS", "OS_PACKAGES", "PRIVATE_PACKAGES", "PYTHON_PACKAGES"]

CERTIFICATES = "ca-certificate"
OS_PACKAGES = "os-packages"
PYTHON_PACKAGES = "python-packages"
PRIVATE_PACKAGES = "private-packages"
COMMANDS = "run-on-build"
#: In the order in which they stand in a Dockerfile.
BLOCKS = (CERTIFICATES, OS_PACKAGES, PYTHON_PACKAGES, PRIVATE_PACKAGES, COMMANDS)
