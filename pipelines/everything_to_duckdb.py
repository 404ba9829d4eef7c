"""Everything that is on by default - the SPA catalogue and the items of all smart processes - into a DuckDB file.

Needs .dlt/secrets.toml (see .dlt/example.secrets.toml). Run it from the folder that holds .dlt, as often as you like:

    python pipelines/everything_to_duckdb.py
"""

import dlt

from bitrix24_source import bitrix24


def main() -> None:
    pipeline = dlt.pipeline(
        "bitrix24",
        destination=dlt.destinations.duckdb("bitrix24_data.duckdb"),
        dataset_name="bitrix24",
        progress="log",
    )
    print(pipeline.run(bitrix24()))


if __name__ == "__main__":
    main()
