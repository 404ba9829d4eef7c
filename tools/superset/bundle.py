"""Makes the importable ZIP of the dashboard from the YAML files in `bundle/`, for a database of yours:

python tools/superset/bundle.py --uri postgresql://dashboards@db.example/warehouse --schema bitrix24

Superset asks for the connection's password while it imports; the ZIP has none.
"""

from __future__ import annotations

import argparse
import re
import zipfile
from pathlib import Path

SOURCES = Path(__file__).with_name("bundle")
FOLDER = "bitrix24_dashboard"
"""Superset wants all files of a bundle in one"""


def write_bundle(target: Path, uri: str, schema: str) -> Path:
    """Writes the ZIP.

    Args:
        target: the file.
        uri: SQLAlchemy's address of the database, as Superset takes it.
        schema: in which the marts are.
    """
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as bundle:
        for source in sorted(SOURCES.rglob("*.yaml")):
            text = source.read_text(encoding="utf-8")
            text = re.sub(r"(?m)^sqlalchemy_uri: .*$", lambda _: f"sqlalchemy_uri: '{uri}'", text)
            text = re.sub(r"(?m)^schema: .*$", lambda _: f"schema: '{schema}'", text)
            bundle.writestr(f"{FOLDER}/{source.relative_to(SOURCES).as_posix()}", text)
    return target


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--uri", default="duckdb:////data/bitrix24_data.duckdb?access_mode=read_only")
    parser.add_argument("--schema", default="bitrix24")
    parser.add_argument("--out", type=Path, default=Path("bitrix24_superset.zip"))
    arguments = parser.parse_args()
    print(write_bundle(arguments.out, arguments.uri, arguments.schema).absolute())


if __name__ == "__main__":
    main()
