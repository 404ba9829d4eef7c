"""Everything that is on by default into PostgreSQL; another warehouse of dlt's needs another name and its credentials.

Needs `pip install "dlt-source-bitrix24[postgres]"`, the portal's credentials in .dlt/secrets.toml, and the warehouse's there too:

    [destination.postgres.credentials]
    host = "localhost"
    port = 5432
    database = "postgres"
    username = "loader"
    password = "..."

Run it from the folder that holds .dlt:

    python pipelines/to_warehouse.py
"""

import dlt

from bitrix24_source import bitrix24

DESTINATION = "postgres"


def main() -> None:
    pipeline = dlt.pipeline("bitrix24", destination=DESTINATION, dataset_name="bitrix24", progress="log")
    print(pipeline.run(bitrix24()))


if __name__ == "__main__":
    main()
