"""The SPA catalogue (types, fields, options, categories, stages, automation) into a DuckDB file.

Needs .dlt/secrets.toml (see .dlt/example.secrets.toml). Run it from the folder that holds .dlt:

    python pipelines/catalog_to_duckdb.py
"""

import dlt

from bitrix24_source import bitrix24

CATALOG = (
    "spa_types",
    "spa_type_relations",
    "spa_type_linked_fields",
    "spa_fields",
    "spa_field_options",
    "spa_categories",
    "spa_stages",
    "spa_automations",
    "automated_solutions",
    "automated_solution_types",
)


def main() -> None:
    pipeline = dlt.pipeline(
        "bitrix24_catalog",
        destination=dlt.destinations.duckdb("bitrix24_data.duckdb"),
        dataset_name="bitrix24",
        progress="log",
    )
    print(pipeline.run(bitrix24().with_resources(*CATALOG)))


if __name__ == "__main__":
    main()
