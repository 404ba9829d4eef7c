"""A portal that answers with the vendor's own examples, for tests of what becomes of them.

Neither our sandbox nor our tests made up what is read here: the examples lie in the folder that BITRIX24_SAMPLES names, and
travel through `requests-mock`. Each page of the documentation shows another portal; tests adjust what is needed for their ids
to agree, and say so where they do.
"""

from __future__ import annotations

import copy
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dlt
import duckdb
import pytest
import requests_mock

from bitrix24_source import bitrix24
from bitrix24_source.sandbox import query_to_params

FOLDER = os.environ.get("BITRIX24_SAMPLES")
PORTAL = "https://vendor.bitrix24.com/rest/1/abcdefgh12345678/"

only_with_examples = pytest.mark.skipif(
    not FOLDER, reason="BITRIX24_SAMPLES names no folder with the vendor's example answers"
)


def sample(method: str, number: str = "01.ok") -> dict[str, Any]:
    """One example, as it is printed."""
    return json.loads((Path(FOLDER or "") / method / f"{number}.json").read_text(encoding="utf-8"))


class Documentation:
    """Answers each call with the vendor's example of its method, which a test may adjust in a method of its own.

    Attributes:
        refused: methods that answer with the vendor's example of a refusal.
    """

    def __init__(self, refused: tuple[str, ...] = ()) -> None:
        self.refused = refused

    def answer_http(self, request: Any, _context: Any) -> dict[str, Any]:
        method = request.path.rpartition("/")[2]
        if method != "batch":
            return self.answer(method, request.json())
        parts: dict[str, Any] = {
            "result": {},
            "result_error": {},
            "result_total": {},
            "result_next": {},
            "result_time": {},
        }
        for key, command in request.json()["cmd"].items():
            name, _, query = command.partition("?")
            answer = self.answer(name, query_to_params(query))
            kept = {"result": "result", "total": "result_total", "next": "result_next", "time": "result_time"}
            if "error" in answer:
                parts["result_error"][key] = answer
            else:
                for part, place in kept.items():
                    if part in answer:
                        parts[place][key] = answer[part]
        return {"result": {name: part or [] for name, part in parts.items()}, "time": sample("scope")["time"]}

    def answer(self, method: str, given: dict[str, Any]) -> dict[str, Any]:
        if method.lower() in self.refused:
            return sample(method, "02.error")
        if not (Path(FOLDER or "") / method).is_dir():
            return {"error": "ERROR_METHOD_NOT_FOUND", "error_description": "Method not found!"}
        adjust = getattr(self, "_" + method.replace(".", "_").lower(), None)
        answer = copy.deepcopy(sample(method))
        if adjust:
            adjust(answer, given)
        return answer


def load(
    documentation: Documentation, resources: tuple[str, ...], folder: Path
) -> Callable[[str], list[tuple[Any, ...]]]:
    """Loads what the documentation answers into DuckDB, as the dataset `s`; gives a way to ask for it."""
    file = str(folder / "samples.duckdb")
    pipeline = dlt.pipeline(
        "samples", destination=dlt.destinations.duckdb(file), dataset_name="s", pipelines_dir=str(folder / "p")
    )
    with requests_mock.Mocker() as mocked:
        mocked.post(requests_mock.ANY, json=documentation.answer_http)
        source = bitrix24(credentials={"auth": "webhook", "webhook_url": PORTAL})
        pipeline.run(source.with_resources(*resources))

    def query(sql: str) -> list[tuple[Any, ...]]:
        with duckdb.connect(file) as connection:
            return connection.execute(sql).fetchall()

    return query
