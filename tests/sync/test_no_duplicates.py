"""One row for each item, also where one run brings it for two reasons."""

from __future__ import annotations

import pytest

HOUR = 3600


@pytest.mark.all_databases(slow=True)
def test_items_of_two_kinds_of_change_are_one_row(small_job, clock):
    """One marked as deleted, then visible again and changed since: two reasons to read it, and one row.

    One read as changed in one request, and gone before the next one reads the ids: one row, whichever of both it tells.
    """
    items = small_job.portal.items(177)
    small_job.execute("update {}.spa_items_177 set deleted_at = now() where id = 7")  # as of one that could not be seen
    clock.advance(HOUR)
    items.update(7, title="Back")
    items.update(57, title="Last words")
    clock.advance(60)

    def delete_once_it_was_read(_number):
        if 57 in items and any({">=updatedTime", ">id"} <= {*filter_} for _, filter_ in small_job.adapter.lists()):
            items.delete(57)

    small_job.before = delete_once_it_was_read
    small_job.run(sweep=True)

    rows = small_job.items()  # which finds that no id is there twice
    assert list(range(1, 61)) == sorted(rows)
    assert ("Back", None) == (rows[7]["title"], rows[7]["deleted_at"])
    assert "Last words" == rows[57]["title"]
    assert 57 not in items
