"""Loads the sandbox's demo portal into a DuckDB file, for Superset to look at; `again` loads it on a bad day.

On that day fields and smart processes have other titles, as after a rename or in another language, stages are renamed, and the
portal refuses the lists of users and of directories.
"""

from __future__ import annotations

import sys
from pathlib import Path

import dlt

from bitrix24_source import bitrix24
from bitrix24_source.app.run import run_load
from bitrix24_source.sandbox import Fault, Portal, SandboxServer


def main() -> None:
    database, day = Path(sys.argv[1]), sys.argv[2]
    portal = Portal("demo", seed=1)
    if day == "again":
        _spoil(portal)
    with SandboxServer(portal) as server:
        run_load(
            bitrix24(credentials=server.credentials()["webhook"]),
            pipeline_name="superset",
            destination=dlt.destinations.duckdb(str(database)),
            pipelines_dir=str(database.parent / "pipelines"),
        )


def _spoil(portal: Portal) -> None:
    for store in portal.world.objects.values():
        for field in store.schema.fields.values():
            field.title = f"Поле {field.title}"
    for type_ in portal.world.types.values():
        type_["title"] = f"Процесс {type_['title']}"
    for method in ("user.get", "crm.status.list"):
        for where in ("outer", "command"):
            denied = {"error": "ACCESS_DENIED", "description": "Access denied", "status": 403}
            portal.faults.add(Fault(method=method, where=where, times=None, **denied))


if __name__ == "__main__":
    main()
