"""What a client sent and no method understood is counted, so that a typing error does not look like an empty list."""

from __future__ import annotations

TYPE = 177


def test_what_is_not_understood_is_counted(portal, ask):
    """Parameters, names in filters, orders, selections and written fields: the answer is the portal's, and each is named."""
    ask("department.get", START=50)
    ask("crm.item.list", entityTypeId=TYPE, fliter={"id": 1}, select=["id", "titel"])
    ask("crm.item.list", entityTypeId=TYPE, filter={">=updatedTim": "2025-01-01"})
    ask("crm.item.list", entityTypeId=TYPE, order={"name": "ASC"})
    ask("crm.item.update", entityTypeId=TYPE, id=1, fields={"titel": "x"})
    ask("batch", cmd={"a": f"crm.item.list?entityTypeId={TYPE}&fliter[id]=1"})

    assert portal.unknown_parameters == {
        "department.get: START": 1,
        "crm.item.list: fliter": 2,
        "crm.item.list: select[titel]": 1,
        "crm.item.list: filter[updatedTim]": 1,
        "crm.item.list: order[name]": 1,
        "crm.item.update: fields[titel]": 1,
    }


def test_what_is_understood_is_not_counted(portal, ask):
    """A credential, a start, a selection with stars, conditions beside the parameters, a refused call."""
    token = portal.access.issue().access_token
    portal.handle("GET", "/rest/profile", f"auth={token}")
    ask("crm.item.list", entityTypeId=TYPE, select=["*", "ufCrm13Approved"], filter={"0": {"id": 1}}, start=-1)
    ask("crm.status.list", start=0, order={"ID": "ASC"}, filter={"ENTITY_ID": "SOURCE"})
    ask("user.get", ID=1, sort="ID", order="ASC", ADMIN_MODE=True, start=0)
    ask("userfieldconfig.list", moduleId="rest", filter={"id": 1})
    ask("crm.stagehistory.list", entityTypeId=TYPE, select=["ID"], start=-1, filter={">ID": 1}, order={"ID": "ASC"})

    assert not portal.unknown_parameters
