"""The browser of whoever sits at this machine."""

from __future__ import annotations

import os
import sys
import webbrowser

__all__ = ["ELSEWHERE", "has_browser", "open_page"]

#: Variables of a kernel whose user sits somewhere else: a browser here would be seen by nobody.
ELSEWHERE = (
    "BINDER_SERVICE_HOST",
    "CODESPACES",
    "COLAB_RELEASE_TAG",
    "JUPYTERHUB_API_URL",
    "KUBERNETES_SERVICE_HOST",
    "SSH_CONNECTION",
    "VSCODE_IPC_HOOK_CLI",
)
_SCREENS = ("BROWSER", "DISPLAY", "WAYLAND_DISPLAY")


def has_browser() -> bool:
    """Whether a page that is opened here is seen by the user.

    Without a screen there is at most a browser for the terminal, which would keep the kernel.
    """
    if any(os.environ.get(name) for name in ELSEWHERE):
        return False
    if sys.platform not in ("darwin", "win32") and not any(os.environ.get(name) for name in _SCREENS):
        return False
    try:
        webbrowser.get()
    except webbrowser.Error:
        return False
    return True


def open_page(address: str) -> bool:
    """Open a page in the browser; gives whether that could be done."""
    try:
        return webbrowser.open(address)
    except webbrowser.Error:
        return False
