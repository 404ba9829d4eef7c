"""One row for each item, also where one run brings it for two reasons."""

from __future__ import annotations

from datetime import timedelta

import pytest

pytestmark = pytest.mark.all_databases


def mark_as_deleted(home, id_):
    """As a run does that may not see the item for a while."""
    home.query("update {}.spa_items_177 set deleted_at = now() where id = ?", id_)


def test_an_item_that_came_back_and_changed_is_one_row(warehouse, portal_with):
    """Marked as deleted, then visible again and changed since: two reasons to read it, and one row."""
    portal = portal_with({177: 60})
    home = warehouse(portal)
    home.run()
    mark_as_deleted(home, 7)
    portal.clock.advance(timedelta(hours=1).total_seconds())
    portal.items(177).update(7, title="Back")
    portal.clock.advance(60)

    home.run(sweep=True)

    assert list(range(1, 61)) == home.ids()
    title, deleted_at = home.one(7, "title", "deleted_at")
    assert "Back" == title
    assert deleted_at is None


def test_an_item_that_changed_and_went_is_one_row(warehouse, portal_with):
    """Read as changed in one request, and gone before the next one reads the ids: one row, whichever of both it tells."""
    portal = portal_with({177: 60})
    home = warehouse(portal)
    home.run()
    portal.clock.advance(timedelta(hours=1).total_seconds())
    portal.items(177).update(57, title="Last words")
    home.adapter.asked.clear()
    home.adapter.before = lambda _number: delete_once_it_was_read(home, 57)

    home.run(sweep=True)

    assert list(range(1, 61)) == home.ids()
    assert 57 not in portal.items(177)


def delete_once_it_was_read(home, id_):
    if any(id_ in (asked.ids or ()) for asked in home.adapter.asked) and id_ in home.portal.items(177):
        home.portal.items(177).delete(id_)
