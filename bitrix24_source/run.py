"""The old address of `bitrix24_source.app.run_load`, for jobs written for 0.1; goes with 0.3."""

from .app.run import run_load as run

__all__ = ["run"]
