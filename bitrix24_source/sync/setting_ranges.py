"""The ranges of numeric settings, which are checked before they are used."""

from __future__ import annotations

from collections.abc import Mapping

from ..errors import ConfigError

RANGES: Mapping[str, tuple[float, float]] = {
    "connections": (1, 100),
    "requests_per_second": (0.01, 1_000_000),
    "burst": (1, 1_000_000),
    "max_response_mb": (1, 100_000),
    "overlap_minutes": (0, 525_600),
    "sweep_hours": (0, 87_600),
    "sweep_runs": (0, 1_000_000),
    "max_deleted_share": (0, 1),
    "slice_rows": (0, 1_000_000_000),
    "slice_seconds": (0, 1_000_000_000),
}
"""minimum and maximum of each numeric setting in `[sources.bitrix24]`"""


def validate_range(**settings: float) -> None:
    """Checks numeric settings early: otherwise they would fail far from where they were set.

    Raises:
        ConfigError: a setting is out of its range, or not a number.
    """
    for name, value in settings.items():
        least, most = RANGES[name]
        if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
            raise ConfigError(
                f"{name} cannot be {str(value)[:40]}",
                f"sources.bitrix24.{name}",
                f"set it to a number from {least:,} to {most:,}, or leave it out",
            )
