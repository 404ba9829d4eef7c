"""Rows without a usable id: passed over, counted and named, while all other rows of their list are loaded."""

from __future__ import annotations

from collections import Counter

import pytest

from bitrix24_source.sandbox.methods.products import product_rows

UNUSABLE = [None, "", 0, -5, "-5", "abc", "7.0", 7.0, 7.5, True, 2**63, str(2**70), [], {}, [7], {"id": 7}]


def without_usable_ids(ids, value=None, method="crm.item.list", key="items", field="id"):
    """Rows of these ids are shown with another value in the field, wherever they appear; those of type 1030 stay whole."""

    def say(command, result):
        if command.partition("?")[0] == method and "entityTypeId=1030" not in command:
            rows = result[key] if key else result
            for row in rows:
                if int(row["ID" if field == "ID" else "id"]) in ids:
                    row[field] = value
        return result

    return say


@pytest.mark.parametrize("value", UNUSABLE)
def test_a_row_without_a_usable_id(portal_with, recording_adapter, read_items, value):
    """It is passed over and counted; all other rows come, each once."""
    portal = portal_with({177: 160, 1030: 60}, scripted=True)
    portal.say = without_usable_ids({70}, value)
    done = read_items(recording_adapter(portal), (177,))

    assert {177: None} == done.ended
    assert [id_ for id_ in portal.items(177).ids() if id_ != 70] == done.ids()
    assert 1 == done.unusable[177].count


PLACES = {
    "the first row of all": {1},
    "the last of a page": {50},
    "the end of a page and the beginning of the next": set(range(45, 56)),
    "nearly a page": set(range(51, 100)),
    "here and there": {3, 50, 99, 100, 101, 1500, 2999},
    "the newest": {3000},
    "the newest forty": set(range(2961, 3001)),
    "every other": set(range(1, 3000, 2)),
    "the end of every page": set(range(50, 3001, 50)),
}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("connections", [1, 4])
def test_wherever_they_stand(portal_with, recording_adapter, read_items, place, connections):
    """Paging goes on by the ids that there are, and none is counted twice."""
    portal = portal_with({177: 3000, 1030: 60}, scripted=True)
    portal.say = without_usable_ids(PLACES[place], "abc")
    done = read_items(recording_adapter(portal), (177, 1030), connections)

    assert {1030: None, 177: None} == done.ended
    assert [id_ for id_ in portal.items(177).ids() if id_ not in PLACES[place]] == done.ids(177)
    assert len(PLACES[place]) == done.unusable[177].count


def test_a_short_list_without_any(portal_with, recording_adapter, read_items):
    """Nothing comes of it, and that is told."""
    portal = portal_with({177: 30}, scripted=True)
    portal.say = without_usable_ids(range(31), "")
    done = read_items(recording_adapter(portal))

    assert ([], 30, {177: None}) == (done.ids(), done.unusable[177].count, done.ended)


@pytest.mark.parametrize("first", [1, 51, 1001, 2951])
def test_a_whole_page_without_any(portal_with, recording_adapter, read_items, first):
    """Nothing can be asked for after it: the list ends with that reason, after the rows before it."""
    portal = portal_with({177: 3000, 1030: 60}, scripted=True)
    portal.say = without_usable_ids(range(first, first + 50))
    done = read_items(recording_adapter(portal), (177, 1030), connections=1)

    assert "a whole page of items without a usable id" in str(done.ended[177])
    assert [] == done.twice()
    assert portal.items(1030).ids() == done.ids(1030)
    assert len(portal.requests) < 20, "it asks for the same page again and again"


def test_an_example_is_safe_to_show(portal_with, recording_adapter, read_items):
    """It is cut, and holds neither secrets nor what a terminal would obey."""
    portal = portal_with({177: 60}, scripted=True)
    way = recording_adapter(portal)
    secret = portal.credentials(portal.base_url)["webhook"]["webhook_url"].rstrip("/").rpartition("/")[2]
    portal.say = without_usable_ids({7}, f"\x1b[2J{'x' * 40}{secret}" + "y" * 500)
    example = read_items(way).unusable[177].example

    assert secret[:8] not in example
    assert "\x1b" not in example
    assert example.startswith("id is")
    assert len(example) < 80


@pytest.fixture
def company(scripted_portal):
    """Items with products, activities and a history."""
    return scripted_portal("demo", items=60)


LISTS = {
    "deals": ("crm.item.list", "items", "id"),
    "activities": ("crm.activity.list", "", "ID"),
    "stage_history": ("crm.stagehistory.list", "items", "ID"),
    "product_rows": ("crm.item.productrow.list", "productRows", "id"),
}


@pytest.mark.parametrize("resource", LISTS)
def test_loads(company, memory_job, resource):
    """One row of load_issues for the list, with the number and an example; every other row is in the table."""
    crm = memory_job(company)
    crm.run(resource)
    before = {tuple(row[key] for key in ("id",)) for row in crm.rows(resource)}
    rows = len(crm.rows(resource))
    assert [] == crm.issues()

    method, key, field = LISTS[resource]
    (some,) = sorted(before)[len(before) // 2]
    company.say = without_usable_ids({some}, "abc", method, key, field)
    again = memory_job(company)
    again.run(resource)
    issues = again.rows("load_issues")

    assert 0 < rows - len(again.rows(resource)) == sum(int(i["message"].split()[0]) for i in issues)
    assert all(resource == issue["resource"] and f'{field} is "abc"' in issue["message"] for issue in issues)
    assert all(issue["hint"] for issue in issues)
    assert len(issues) == len({issue["entity_type_id"] for issue in issues})


def test_a_product_row_of_nobody(company, memory_job):
    """A row whose owner has no usable id is passed over, without the rows of others."""
    crm = memory_job(company)
    row = next(row for owner in company.items(2).ids() for row in product_rows(company.world, 2, owner))
    company.say = without_usable_ids({row["id"]}, None, "crm.item.productrow.list", "productRows", "ownerId")
    crm.run("deals", "product_rows")
    (issue,) = crm.rows("load_issues")

    assert "ownerId is null" in issue["message"]
    expected = sum(len(product_rows(company.world, 2, owner)) for owner in company.items(2).ids())
    assert expected - 1 == sum(row["entity_type_id"] == 2 for row in crm.rows("product_rows"))


def test_nothing_is_marked_that_may_be_there(portal_with, memory_job):
    """An item that is shown without its id for a run stays as it was, and deletions are found when all ids come again."""
    portal = portal_with({177: 60}, scripted=True)
    crm = memory_job(portal)
    crm.run()
    portal.items(177).delete(5)
    portal.say = without_usable_ids({7, 50})
    crm.run(sweep=True)
    (issue,) = crm.rows("load_issues")

    assert issue["message"].startswith("2 rows of spa_items_177 not loaded")
    assert {} == crm.marked(177)

    portal.say = lambda _command, result: result
    crm.run()
    assert [5] == list(crm.marked(177))


def test_rows_of_an_owner_stay(company, memory_job):
    """Of an owner whose only row is shown without an id, the stored rows are not removed."""
    crm = memory_job(company)
    crm.run("deals", "product_rows")
    owners = Counter(row["owner_id"] for row in crm.rows("product_rows") if row["entity_type_id"] == 2)
    owner = min(owner for owner, number in owners.items() if number == 1)
    ids = {row["id"] for row in product_rows(company.world, 2, owner)}
    company.clock.advance(60)
    company.items(2).update(owner, title="Changed")
    company.say = without_usable_ids(ids, None, "crm.item.productrow.list", "productRows")
    crm.run("deals", "product_rows")

    rows = [row for row in crm.rows("product_rows") if (row["entity_type_id"], row["owner_id"]) == (2, owner)]
    assert 1 == len(rows)
    assert 1 == len(crm.issues())
