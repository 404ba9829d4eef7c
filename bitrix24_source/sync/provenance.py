"""What a pipeline's tables were read from: the portal, and the load that the state was stored with.

Stored in the source's state beside the checkpoints, and compared before anything is written. Who has read a list is in its own
checkpoint, because lists fail, or are left out of a run, one by one.
"""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any

PROVENANCE = "loaded_from"
"""key of what a source's state says of where its tables were read from"""
VERSION = 1


@dataclass(frozen=True)
class Provenance:
    """Where the tables of one source were read from, as of the last load; all empty before the first one.

    Attributes:
        portal: its host.
        user: id of the credential's user, where a pre-release of 0.2.0 has stored it: it counts for lists whose checkpoint does
            not name one, and is written back as it is.
        load_id: of the load package that the state travelled with.
    """

    portal: str = ""
    user: str = ""
    load_id: str = ""

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Provenance:
        """What a source's state holds; states of 0.1.0 hold nothing of it."""
        stored = state.get(PROVENANCE, {})
        return cls(*(str(stored.get(name, "")) for name in ("portal", "user", "load_id")))

    def to_state(self, state: MutableMapping[str, Any]) -> None:
        state[PROVENANCE] = {"version": VERSION, **vars(self)}
