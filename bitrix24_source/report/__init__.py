"""A page of charts from the marts of a loaded portal: one HTML file that opens offline and makes no network requests."""

from .page import LANGUAGES, render_page
from .questions import questions, sql_of
from .write import write_report

__all__ = ["LANGUAGES", "questions", "render_page", "sql_of", "write_report"]
