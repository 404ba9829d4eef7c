"""Makes text safe to show: removes credentials, and characters that control a terminal or a log."""

from __future__ import annotations

import logging
import re

_REST_PATH = re.compile(r"(/rest/(?:api/)?\d+/)[^/\s\"'?]+")
_QUERY = re.compile(r"([?&](?:auth|access_token|refresh_token|client_secret|code|token)=)[^&\s\"']+", re.IGNORECASE)
_LINE_ENDS = re.compile("[\t\n\v\f\r\x1c-\x1e\x85\u2028\u2029]+")
# Controls (ESC among them, and CSI as one character), marks that turn the direction of writing, halves of characters.
_OBEYED = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")


def redact(text: str) -> str:
    """Returns text without webhook codes and tokens in addresses."""
    return _QUERY.sub(r"\1***", _REST_PATH.sub(r"\1***", text))


def safe_line(text: str) -> str:
    r"""Returns text as one line without control characters: titles and error texts of a portal are untrusted.

    Line ends and tabs become a space. Control characters, escape sequences, bidirectional marks and lone surrogates are
    written as `\x1b` or `\u202e`: a reader sees them, and no terminal executes them.
    """
    return _OBEYED.sub(_spell_out, _LINE_ENDS.sub(" ", text))


def _spell_out(found: re.Match[str]) -> str:
    code = ord(found[0])
    return f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}"


class RedactingFilter(logging.Filter):
    """Makes every log record safe to show; also used for urllib3's loggers, which log each request's path at DEBUG."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = safe_line(redact(record.getMessage())), ()
        return True


REDACTING_FILTER = RedactingFilter()
logging.getLogger("bitrix24_source").addFilter(REDACTING_FILTER)
