"""Records what a pipeline's tables were read from: the portal, and the load with which the state was stored.

It is stored in the source's state beside the checkpoints, and compared before anything is written. The user who read a list
is in the list's checkpoint, because single lists may fail or be left out of a run.
"""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any

PROVENANCE = "loaded_from"
"""key in the state of a source"""
VERSION = 1


@dataclass(frozen=True)
class Provenance:
    """Where the tables of one source were read from, as of the last load; all empty before the first one.

    Attributes:
        portal: the portal's host.
        user: id of the credential's user, if a pre-release of 0.2.0 has stored it: it applies to lists whose checkpoint does
            not name one, and is kept unchanged.
        load_id: id of the load package with which the state was stored.
    """

    portal: str = ""
    user: str = ""
    load_id: str = ""

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Provenance:
        """Reads the state of a source; empty for a state of 0.1.0."""
        stored = state.get(PROVENANCE, {})
        return cls(*(str(stored.get(name, "")) for name in ("portal", "user", "load_id")))

    def to_state(self, state: MutableMapping[str, Any]) -> None:
        state[PROVENANCE] = {"version": VERSION, **vars(self)}
