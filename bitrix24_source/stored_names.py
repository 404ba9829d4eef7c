"""Under which names does the destination hold tables and columns? What is too long for it is shortened, with a hash.

It refuses to know which tables and columns there are.
"""

from __future__ import annotations

from typing import Any

import dlt
from dlt.common.storages.exceptions import CurrentLoadPackageStateNotAvailable
from dlt.extract.exceptions import CurrentSourceNotAvailable


def stored_column(name: str) -> str:
    """The column as the running load writes it; as it is outside a load."""
    naming = _naming()
    return str(naming.normalize_path(name)) if naming else name


def stored_table(name: str) -> str:
    """The same for a table."""
    naming = _naming()
    return str(naming.normalize_tables_path(name)) if naming else name


def _naming() -> Any:
    try:
        dlt.current.load_package_state()
        return dlt.current.source_schema().naming
    except (CurrentLoadPackageStateNotAvailable, CurrentSourceNotAvailable):
        return None
