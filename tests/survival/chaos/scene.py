"""The portal of the chaos test, the people who work in it all the time, and everything that goes wrong between it and a load.

It refuses to know loads and tables.
"""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress

from bitrix24_source.sandbox import Fault, Portal, SandboxServer

FAULTS: tuple[Callable[[], Fault], ...] = (
    lambda: Fault("*", "reset"),
    lambda: Fault("*", "reset", at="headers"),
    lambda: Fault("*", "reset", at="body"),
    lambda: Fault("*", "truncate"),
    lambda: Fault("*", "invalid_utf8"),
    lambda: Fault("*", "empty"),
    lambda: Fault("*", "slow", seconds=0.4),
    lambda: Fault("*", "drip", seconds=0.4),
    lambda: Fault("*", "http", status=200),
    lambda: Fault("*", "http", status=500),
    lambda: Fault("*", "http", status=502),
    lambda: Fault("*", "http", status=503),
    lambda: Fault("*", "http", status=504),
    lambda: Fault("*", "error", error="INTERNAL_SERVER_ERROR", status=500),
    lambda: Fault("*", "error", error="INTERNAL_SERVER_ERROR", status=200),
    lambda: Fault("*", "QUERY_LIMIT_EXCEEDED"),
    lambda: Fault("crm.item.list", "QUERY_LIMIT_EXCEEDED", where="command", times=3),
    lambda: Fault("crm.item.list", "error", where="command", times=2),
    lambda: Fault("crm.item.list", "expired_token", where="command"),
    lambda: Fault("oauth.token", "http", status=500),
    lambda: Fault("oauth.token", "reset"),
)
TITLES = ("Motor Ж", "a\tb\nc", "'; DROP TABLE x; --", "🙂", "", "Ω" * 300)
FIRST_ITEMS = {177: (400, 4000), 1030: (0, 120), 1032: (0, 3)}
LATER_TYPE = 1040


class Scene:
    """A portal on loopback. `rng` decides everything, so that the same seed makes the same plan."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(f"chaos {seed}")
        self.portal = Portal(scenario="empty", seed=seed, latency=(0.004, 0.00001))
        self.portal.limits.capacity = self.portal.limits.operating_seconds = None
        self.columns: dict[int, dict[str, str]] = {}
        self.ever: dict[int, set[int]] = {}
        self.did: Counter[str] = Counter()
        for entity_type_id, (fewest, most) in FIRST_ITEMS.items():
            self._new_type(entity_type_id, self.rng.randint(fewest, most))
        self._ordered: list[Fault] = []
        self.server = SandboxServer(self.portal).start()

    def close(self) -> None:
        self.server.close()

    def _new_type(self, entity_type_id: int, items: int) -> None:
        self.portal.add_type(f"Process {entity_type_id}", entity_type_id=entity_type_id, items=items)
        kinds = {"number": "integer", "price": "money", "words": "string"}
        self.columns[entity_type_id] = {
            what: self.portal.add_field(entity_type_id, what.upper(), kind, what.title(), multiple=what == "words")
            for what, kind in kinds.items()
        }
        self.ever[entity_type_id] = set(self.portal.items(entity_type_id).ids())

    def types(self) -> list[int]:
        return [int(row["entityTypeId"]) for row in self.portal.types()]

    # --- what goes wrong --------------------------------------------------------------------------------------------

    def order_faults(self) -> None:
        """A few answers of the next load will be spoiled."""
        for _ in range(self.rng.randint(0, 4)):
            fault = self.rng.choice(FAULTS)()
            fault.nth = self.rng.randint(1, 8)
            self._ordered.append(fault)
            self.portal.faults.add(fault)

    def clear_faults(self) -> None:
        self.did["faults"] += sum(fault.struck for fault in self._ordered)
        self._ordered.clear()
        self.portal.faults.clear()

    def go_away(self, seconds: float) -> None:
        """Nobody listens for a while."""
        port = self.server.port
        self.server.close()
        time.sleep(seconds)
        self.server = SandboxServer(self.portal, port).start()
        self.did["times away"] += 1

    # --- what people do ---------------------------------------------------------------------------------------------

    def change_the_setup(self) -> None:
        """Between two loads: time passes, types come and go, a custom field is added."""
        self.portal.clock.advance(self.rng.choice([0, 90, 3000, 40_000]))
        present = LATER_TYPE in self.types()
        if self.rng.random() < 0.3 and not present and LATER_TYPE not in self.columns:
            self._new_type(LATER_TYPE, self.rng.randint(0, 90))
            self.did["types added"] += 1
        elif self.rng.random() < 0.2 and present:
            self.portal.delete_type(LATER_TYPE)
            self.did["types deleted"] += 1
        if self.rng.random() < 0.3 and "late" not in self.columns[177]:
            self.columns[177]["late"] = self.portal.add_field(177, "LATE", "integer", "Late", pool=[None])

    def working(self) -> Work:
        """As a context manager: people work in the portal meanwhile."""
        return Work(self)

    def write(self, rng: random.Random) -> None:
        """One thing that somebody does."""
        entity_type_id = rng.choice([177, 177, 177, *self.types()])
        items = self.portal.items(entity_type_id)
        ids = items.ids()
        kind = rng.choice(["add", "change", "change", "change", "delete", "many"])
        if kind == "add" or not ids:
            self.ever[entity_type_id].add(items.add(**self._values(rng, entity_type_id)))
        elif kind == "change":
            items.update(rng.choice(ids), **self._values(rng, entity_type_id))
        elif kind == "delete" and len(ids) > 20:
            items.delete(rng.choice(ids))
        elif kind == "many":
            for id_ in rng.sample(ids, min(len(ids), 40)):
                items.update(id_, **self._values(rng, entity_type_id))
        self.did["writes"] += 1

    def _values(self, rng: random.Random, entity_type_id: int) -> dict[str, object]:
        named = self.columns[entity_type_id]
        values: dict[str, object] = {
            "number": rng.choice([None, 0, 7, 12345]),
            "price": rng.choice(["", "300|RUB", "1234.56|EUR"]),
            "words": rng.choice([[], ["a"], ["b", "c", "Ω"]]),
            "late": rng.randint(1, 9),
        }
        chosen = {named[what]: value for what, value in values.items() if what in named and rng.random() < 0.7}
        return {"title": f"{rng.choice(TITLES)} {rng.randint(0, 999)}", **chosen}


class Work:
    """People at work, and tokens that expire, until it is left."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self._rng = random.Random(scene.rng.random())
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._go_on, name="people", daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _go_on(self) -> None:
        while not self._over.wait(self._rng.uniform(0.01, 0.15)):
            with suppress(KeyError):  # somebody else has just deleted it
                self._scene.write(self._rng)
            if self._rng.random() < 0.02:
                self._scene.portal.expire_access_tokens()
                self._scene.did["token expiries"] += 1
            if self._rng.random() < 0.004:
                self._scene.go_away(self._rng.uniform(0.1, 1.0))
