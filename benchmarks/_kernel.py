"""A real kernel, in which cells are timed from the request to idle."""

from __future__ import annotations

import queue
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.manager import KernelManager

__all__ = ["TimedKernel", "timed_kernel"]


class TimedKernel:
    """A kernel whose cells are timed.

    Parameters
    ----------
    client : BlockingKernelClient
        A client of the kernel, with its channels open.
    """

    def __init__(self, client: BlockingKernelClient) -> None:
        self._client = client

    def run(self, cell: str) -> float:
        """Run a cell; give the milliseconds from the request to idle.

        Raises
        ------
        RuntimeError
            When the cell raises, or does not end.
        """
        begin = time.perf_counter()
        message = self._client.execute(cell)
        while True:
            try:
                received = self._client.get_iopub_msg(timeout=60)
            except queue.Empty as error:
                raise RuntimeError(f"no end of {cell[:80]!r}") from error
            if received["parent_header"].get("msg_id") != message:
                continue
            if received["msg_type"] == "error":
                raise RuntimeError(f"{cell[:80]!r}: {received['content']['evalue']}")
            if received["msg_type"] == "status" and received["content"]["execution_state"] == "idle":
                return 1000 * (time.perf_counter() - begin)


@contextmanager
def timed_kernel(folder: Path) -> Iterator[TimedKernel]:
    """Start a kernel in a folder, with the extension loaded; it ends with the block."""
    manager = KernelManager(kernel_name="python3")
    manager.start_kernel(cwd=str(folder))
    client = manager.client()
    client.start_channels()
    try:
        client.wait_for_ready(timeout=60)
        kernel = TimedKernel(client)
        kernel.run("%load_ext astro_magic")
        yield kernel
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
