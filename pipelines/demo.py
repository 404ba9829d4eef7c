"""A portal on this machine, loaded into DuckDB over real HTTP, and what came out of it. Needs no Bitrix24 account:

make demo
"""

import sys
import tempfile
from pathlib import Path

import dlt
import duckdb
from dlt.common.runtime.collector import LogCollector, TqdmCollector

from bitrix24_source import bitrix24
from bitrix24_source.app.run import run_load
from bitrix24_source.report import write_report
from bitrix24_source.sandbox import Portal, SandboxServer

DATABASE = Path("bitrix24_demo.duckdb")
REPORT = Path("bitrix24_demo.html")
QUESTION = """
SELECT "Company", "Stage semantics", count(*) AS items, round(sum("Amount in account currency")) AS amount
FROM bitrix24.spa_items_177_labeled
WHERE "Company" IS NOT NULL
GROUP BY ALL
ORDER BY amount DESC
LIMIT 5
"""


def main() -> None:
    DATABASE.unlink(missing_ok=True)
    destination = dlt.destinations.duckdb(str(DATABASE))
    with SandboxServer(Portal(scenario="demo", seed=1)) as server, tempfile.TemporaryDirectory() as working_folder:
        print(f"A portal listens on {server.base_url}. Loading it into {DATABASE} ...\n", flush=True)
        run_load(
            bitrix24(credentials=server.credentials()["webhook"]),
            pipeline_name="bitrix24_demo",
            destination=destination,
            progress=TqdmCollector() if sys.stderr.isatty() else LogCollector(5.0, dump_system_stats=False),
            pipelines_dir=working_folder,
        )
        write_report(dlt.attach("bitrix24_demo", working_folder, destination=destination), REPORT)
    with duckdb.connect(str(DATABASE), read_only=True) as database:
        print("\nTables\n")
        for (table,) in database.execute(_TABLES, ["BASE TABLE"]).fetchall():
            count = database.table(f'bitrix24."{table}"').count("*").fetchone() or (0,)
            print(f"  {table:<40} {count[0]:>7,}")
        views = [name for (name,) in database.execute(_TABLES, ["VIEW"]).fetchall()]
        print(f"\nand {len(views)} views with the portal's own words, among them {', '.join(views[-3:])}")
        print(f"\nOne question\n{QUESTION}")
        print(database.sql(QUESTION))
    print(_NEXT)


_TABLES = """
SELECT table_name FROM information_schema.tables
WHERE table_schema = 'bitrix24' AND table_type = ? AND table_name NOT LIKE '\\_%' ESCAPE '\\' ORDER BY table_name
"""

_NEXT = f"""Next
  look at it:      {REPORT.absolute()} - open it in a browser, it needs no server and no network
  ask it more:     .venv/bin/python -c 'import duckdb; print(duckdb.connect("{DATABASE}").sql("FROM bitrix24.spa_types"))'
  a real portal:   cp .dlt/example.secrets.toml .dlt/secrets.toml, put your webhook there (README, "Your portal in four steps"), then
                   .venv/bin/bitrix24 check && .venv/bin/bitrix24 load
"""

if __name__ == "__main__":
    main()
