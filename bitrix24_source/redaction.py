"""Takes credentials out of text: webhook codes and tokens, wherever they stand in an address."""

from __future__ import annotations

import logging
import re

_REST_PATH = re.compile(r"(/rest/(?:api/)?\d+/)[^/\s\"'?]+")
_QUERY = re.compile(r"([?&](?:auth|access_token|refresh_token|client_secret|code|token)=)[^&\s\"']+", re.IGNORECASE)


def redact(text: str) -> str:
    """Text without webhook codes and tokens, wherever they stand in an address."""
    return _QUERY.sub(r"\1***", _REST_PATH.sub(r"\1***", text))


class RedactingFilter(logging.Filter):
    """urllib3 logs every request's path at DEBUG."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = redact(record.getMessage()), ()
        return True


REDACTING_FILTER = RedactingFilter()
