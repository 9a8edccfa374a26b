"""Airflow's effective configuration, as it reads it itself, without its secrets."""

from __future__ import annotations

import json
from dataclasses import dataclass

from astro_magic.errors import AirflowError
from astro_magic.system.secrets import MASK, is_secret_name, mask_credentials

__all__ = ["LIST_COMMAND", "ConfigOption", "read_configuration"]

#: Prints the whole effective configuration, defaults included, as JSON in the last line. Airflow's own command for it
#: hides all values in some versions, has no option to show them in others, and never prints what a command gives.
LIST_COMMAND = (
    "python",
    "-c",
    """\
import json
from airflow.configuration import conf
print(json.dumps(conf.as_dict(display_sensitive=False, raw=True), default=str))
""",
)

#: What Airflow writes for what it calls sensitive.
_HIDDEN = "< hidden >"
_SHOWN = 300


@dataclass(frozen=True)
class ConfigOption:
    """An option of ``airflow.cfg``.

    Attributes
    ----------
    section, key : str
        Where it stands.
    value : str
        What holds now; hidden where the key says that it is secret.
    """

    section: str
    key: str
    value: str


def read_configuration(text: str) -> tuple[ConfigOption, ...]:
    """Read what `LIST_COMMAND` printed.

    Parameters
    ----------
    text : str
        The output; what stands before its last line is passed over.

    Raises
    ------
    AirflowError
        When it is no configuration.
    """
    last = next((line for line in reversed(text.splitlines()) if line.strip()), "")
    try:
        sections = {section: dict(options) for section, options in json.loads(last).items()}
    except (ValueError, AttributeError, TypeError) as problem:
        raise AirflowError("Airflow's configuration cannot be read.", detail=last[:_SHOWN]) from problem
    return tuple(
        ConfigOption(section, key, _shown(key, "" if value is None else str(value)))
        for section, options in sections.items()
        for key, value in options.items()
    )


def _shown(key: str, value: str) -> str:
    hidden = value == _HIDDEN or (value and is_secret_name(key))
    return MASK if hidden else mask_credentials(value)
