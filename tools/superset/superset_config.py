"""Superset on this machine, for one proof: SQLite, a key of its own, everything on the page drawn at once."""

import os
import secrets
from pathlib import Path

_HOME = Path(os.environ["SUPERSET_HOME"])
SECRET_KEY = secrets.token_urlsafe(42) if "SUPERSET_KEY" not in os.environ else os.environ["SUPERSET_KEY"]
SQLALCHEMY_DATABASE_URI = f"sqlite:///{_HOME / 'superset.db'}"
TALISMAN_ENABLED = False  # plain HTTP on the loopback address
FEATURE_FLAGS = {"DASHBOARD_VIRTUALIZATION": False}
