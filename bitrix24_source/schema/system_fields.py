"""Fields that rows have whether or not the portal's field list contains them."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Collection, Sequence

from .fields import Field

# Rows have these although the field list does not contain them (crm.item.get, "utm*").
UTM_FIELDS = tuple(
    Field(name=f"utm{part}", upper_name=f"UTM_{part.upper()}", type="string")
    for part in ("Source", "Medium", "Campaign", "Content", "Term")
)
# Phones and e-mails of leads, contacts and companies; the pages disagree on whether the field list contains it.
MULTIFIELD = Field(name="fm", upper_name="FM", type="crm_multifield", title="FM", is_multiple=True)


def _system_fields(**types: str) -> tuple[Field, ...]:
    return tuple(
        Field.from_wire(name, {"type": type_}, position) for position, (name, type_) in enumerate(types.items())
    )


# The single-valued columns of every smart process. `crm.item.fields` lists those of features that are on, and never the amounts
# in the account's currency; rows have all of them, except the stage and the category of types without stages or categories.
# https://apidocs.bitrix24.com/api-reference/crm/universal/object-fields.html
SPA_FIELDS = _system_fields(
    id="integer", title="string", xmlId="string", createdTime="datetime", updatedTime="datetime", createdBy="user",
    updatedBy="user", assignedById="user", opened="boolean", webformId="integer", begindate="date", closedate="date",
    companyId="crm_company", contactId="crm_contact", categoryId="crm_category", movedTime="datetime", movedBy="user",
    stageId="crm_status", previousStageId="crm_status", sourceId="crm_status", sourceDescription="text",
    currencyId="crm_currency", isManualOpportunity="boolean", opportunity="double", taxValue="double",
    mycompanyId="crm_company", lastActivityBy="user", lastActivityTime="datetime", opportunityAccount="double",
    taxValueAccount="double", accountCurrencyId="crm_currency", isRecurring="boolean",
)  # fmt: skip
_SPA_TYPES = {field.upper_name: field.type for field in SPA_FIELDS}


def with_system_fields(fields: Sequence[Field], *, is_spa: bool) -> tuple[Field, ...]:
    """Returns the listed fields, followed by further ones that rows have.

    A system column of a smart process has its own type, whatever the field list says.
    """
    hidden = (*SPA_FIELDS, *UTM_FIELDS) if is_spa else UTM_FIELDS
    listed = {field.upper_name for field in fields}
    settled = with_system_types(fields) if is_spa else fields
    return (*settled, *(field for field in hidden if field.upper_name not in listed))


def with_system_types(fields: Sequence[Field]) -> tuple[Field, ...]:
    """Returns the listed fields of a smart process; system fields have the type of their column."""
    return tuple(
        field
        if field.is_dynamic or (type_ := _SPA_TYPES.get(field.upper_name, field.type)) == field.type
        else dataclasses.replace(field, type=type_, is_multiple=False)
        for field in fields
    )


def with_multifield(fields: Sequence[Field]) -> tuple[Field, ...]:
    """Returns the fields of an object that has phones and e-mails, including these."""
    if any(field.upper_name == MULTIFIELD.upper_name for field in fields):
        return tuple(fields)
    return (*fields, dataclasses.replace(MULTIFIELD, position=len(fields)))


_CONTACT_ALIAS = re.compile(r"(?:PHONE|EMAIL|IMOL|WEB|SKYPE|ICQ)(?:_[A-Z]+)?")


def is_excluded(upper_name: str, excluded: Collection[str]) -> bool:
    """Returns whether the column of a field is left out, `excluded` being names of columns.

    Excluding phones and e-mails (`fm`) also excludes the keys that repeat the first of them (`phone`, `emailWork`).
    https://apidocs.bitrix24.com/api-reference/crm/universal/crm-item-get.html
    """
    if upper_name.lower() in excluded:
        return True
    return MULTIFIELD.name in excluded and bool(_CONTACT_ALIAS.fullmatch(upper_name))


def is_excluded_key(key: str, excluded: Collection[str]) -> bool:
    """Returns the same for a key without a field, whose column may have more underscores than the key."""
    upper_name = Field.from_wire(key, {}, 0).upper_name
    return is_excluded(upper_name, excluded) or squash(key) in map(squash, excluded)


def squash(name: str) -> str:
    """Returns a form of a name that is the same for wire and column names: in lower case, without underscores."""
    return name.lower().replace("_", "")
