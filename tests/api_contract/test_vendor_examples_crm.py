"""The vendor's own example answers become the rows of the CRM tables that a reader of the documentation expects."""

from __future__ import annotations

from datetime import date, datetime, timezone
from decimal import Decimal

import pytest
from dlt.common.runtime.run_context import RunContext, switched_run_context

from .documentation import Documentation, load, only_with_examples, sample

RESOURCES = (
    "leads", "crm_fields", "categories", "stages", "stage_history", "product_rows", "activities", "users", "departments",
    "currencies", "statuses",
)  # fmt: skip

pytestmark = only_with_examples


class Crm(Documentation):
    """The examples that the CRM tables are made of."""

    def _crm_item_fields(self, answer, given):
        """The example describes a smart process: leads have two texts more, which the example of their list shows."""
        if given["entityTypeId"] == "1":
            for name, upper in (("name", "NAME"), ("lastName", "LAST_NAME")):
                answer["result"]["fields"][name] = {**answer["result"]["fields"]["title"], "upperName": upper}

    def _crm_item_list(self, answer, given):
        """The example is of leads in the order of their stages, and comes in the asked order here; the lead of another
        example stands after them. Of deals there is the one that the examples of product rows and history belong to.
        """
        whole = sample("crm.item.get")["result"]["item"]
        rows = {"1": [*answer["result"]["items"], {**whole, "id": 256}], "2": [{"id": 21}, {"id": 13142}]}
        self._page(answer, rows.get(given["entityTypeId"], []), given, "id", "items")

    def _crm_category_list(self, answer, given):
        """The example is of deals: nothing else has categories here."""
        if given["entityTypeId"] != "2":
            answer["result"]["categories"], answer["total"] = [], 0

    def _crm_status_list(self, answer, given):
        """The example is of one directory: the others are empty."""
        if given.get("filter", {}).get("ENTITY_ID", "DEAL_STAGE") != "DEAL_STAGE":
            answer["result"], answer["total"] = [], 0

    def _crm_stagehistory_list(self, answer, given):
        """The example is of a deal."""
        rows = answer["result"]["items"] if given["entityTypeId"] == "2" else []
        self._page(answer, rows, given, "ID", "items")

    def _crm_item_productrow_list(self, answer, given):
        """The example is of one deal."""
        asked = given["filter"]
        rows = answer["result"]["productRows"]
        wanted = asked["=ownerType"] == "D" and "13142" in asked["=ownerId"]
        self._page(answer, rows if wanted else [], given, "id", "productRows")

    def answer(self, method, given):
        """Two examples show an activity each, one with people's numbers and one with files: here they are one list."""
        if method != "crm.activity.list":
            return super().answer(method, given)
        answer, other = sample(method, "02.ok"), sample(method, "03.ok")
        self._page(answer, [*answer["result"], *other["result"]], given, "ID")
        return answer

    def _page(self, answer, rows, given, id_field, rows_key=""):
        """What is behind the asked id, in the asked order."""
        after = int(given.get("filter", {}).get(f">{id_field}", 0))
        is_falling = given["order"][id_field].upper() == "DESC"
        rows = [row for row in rows if int(row[id_field]) > after]
        rows = sorted(rows, key=lambda row: int(row[id_field]), reverse=is_falling)
        answer["result"] = {rows_key: rows} if rows_key else rows
        answer["total"] = 0


@pytest.fixture(scope="module")
def query(tmp_path_factory):
    """A way to ask for what the documentation answers, loaded once for all that only look: query(sql)."""
    folder = tmp_path_factory.mktemp("documented")
    with switched_run_context(RunContext(str(folder))):
        return load(Crm(), RESOURCES, folder)


def test_leads_read_as_documented(query):
    """crm.item.list and crm.item.get: five leads; links that are 0 are NULL, phones and e-mails a child table."""
    assert [
        (252, 1, "NEW", 12000.0, "ADVERTISING", "Lead #252", "Klaus", "Schmidt", True),
        (253, 6, "NEW", 19000.0, "WEB", "Lead #253", "Admin", None, True),
        (254, 6, "IN_PROCESS", 19000.0, "ADVERTISING", "Lead #254", "Schmidt", "Schmidt", True),
        (255, 1, "NEW", 19600.0, "WEB", "Lead #255", "Klaus", "Weber", True),
        (256, 1, "IN_PROCESS", 999.9, "TRADE_SHOW", "Lead #250", "Admin", "Admins", True),
    ] == query(
        "select id, assigned_by_id, stage_id, opportunity, source_id, title, name, last_name, is_manual_opportunity "
        "from s.leads order by id"
    )
    moment = datetime(2024, 7, 22, 16, 0, 8, tzinfo=timezone.utc)
    assert [(None, None, "USD", True, moment, "Exhibition about admins")] == query(
        "select company_id, contact_id, currency_id, opened, created_time, source_description from s.leads where id = 256"
    )
    assert [
        (256, 0, 101, "PHONE", "WORK", "+6111111111"),
        (256, 1, 102, "EMAIL", "WORK", "admin@example.com"),
    ] == query('select item_id, position, fm_id, type_id, value_type, "value" from s.leads__fm order by position')


def test_history_reads_as_documented(query):
    """crm.stagehistory.list: one move of a deal into its first stage, in the general pipeline, whose id is 0."""
    moment = datetime(2024, 4, 25, 14, 59, 11, tzinfo=timezone.utc)

    assert [(2, 35, 1, 21, moment, 0, "P", "NEW")] == query(
        "select entity_type_id, id, type_id, owner_id, created_time, category_id, stage_semantic_id, stage_id "
        "from s.stage_history"
    )


def test_product_rows_read_as_documented(query):
    """crm.item.productrow.list: two rows of deal 13142; amounts are as precise as they were printed, no tax is NULL."""
    assert [
        (2, 13142, 17649, 9621, "iphone 14", 90000.0, 81818.18, 90909.09, 3.0, 9090.91, 10.0, True, 796, "pcs", 19),
        (2, 13142, 17650, 9623, "iphone 10xs", 5550.0, 5550.0, 5550.0, 1.0, 0.0, None, True, 6, "m", 17),
    ] == query(
        "select entity_type_id, owner_id, id, product_id, product_name, price, price_exclusive, price_netto, quantity, "
        "discount_sum, tax_rate, tax_included, measure_code, measure_name, store_id from s.product_rows order by id"
    )


def test_activities_read_as_documented(query):
    """crm.activity.list: two activities; telephone numbers and links to files, which nobody asked for, are nowhere."""
    assert [(20, None), (101121, None)] == query("select id, subject from s.activities order by id")
    columns = {name for (name,) in query("select column_name from information_schema.columns")}
    assert not {"communications", "files", "bindings"} & columns


def test_users_read_as_documented(query):
    """user.get: two people; {} and empty texts are no moments, ACTIVE is a boolean, and each is in department 1."""
    assert [
        (1, True, "Vadim", "Valeev", "v.r.valeev@bitrix.com", None, "employee",
         date(2024, 7, 15), datetime(2024, 7, 25, 13, 6, 54, tzinfo=timezone.utc)),
        (3, True, "John", "Smith", "test@gmail.com", None, "employee",
         date(2024, 7, 22), datetime(2024, 7, 24, 9, 1, 55, tzinfo=timezone.utc)),
    ] == query(
        "select id, active, name, last_name, email, work_position, user_type, date_register, last_login "
        "from s.users order by id"
    )  # fmt: skip
    assert [(1, 0, 1), (3, 0, 1)] == query('select item_id, position, "value" from s.users__uf_department order by 1')


def test_departments_read_as_documented(query):
    """department.get: five departments below the first, of whose head nothing is said."""
    assert [
        (2, "Accounting", 500, 1, None), (3, "Sales Department", 500, 1, None),
        (4, "Marketing and Advertising Department", 500, 1, None), (15, "R&D", 500, 1, None),
        (17, "Legal Department", 500, 1, None),
    ] == query("select id, name, sort, parent, uf_head from s.departments order by id")  # fmt: skip


def test_currencies_read_as_documented(query):
    """crm.currency.list: `total` is 0 and four rows come; USD stands there twice, of which the base currency is kept."""
    assert [
        ("CAD", "Canadian Dollar", 1, Decimal("32.2"), False, 2, 500),
        ("EUR", "Euro", 1, Decimal("78.32"), False, 2, 300),
        ("USD", "United States Dollar", 1, Decimal(1), True, 2, 100),
    ] == query(
        "select currency, full_name, amount_cnt, amount, is_base, decimals, sort from s.currencies order by currency"
    )


def test_statuses_read_as_documented(query):
    """crm.status.entity.types and crm.status.list: the stages of deals are in `stages`, and with all others in `statuses`."""
    stages = [
        ("NEW", "New", 10, "process"), ("PREPARATION", "Document preparation", 20, "process"),
        ("PREPAYMENT_INVOICE", "Prepayment invoice", 30, "process"), ("EXECUTING", "In progress", 40, "process"),
        ("FINAL_INVOICE", "Final invoice", 50, "process"), ("WON", "Deal successful", 60, "success"),
        ("LOSE", "Deal failed", 70, "failure"), ("APOLOGY", "Failure reason analysis", 80, "failure"),
    ]  # fmt: skip

    assert stages == query(
        "select status_id, name, sort, semantics from s.stages "
        "where entity_id = 'DEAL_STAGE' and entity_type_id = 2 and category_id = 0 order by sort"
    )
    ids = [101, 103, 105, 107, 109, 111, 113, 115]
    assert [(number, *row[:3], row[0] in ("NEW", "WON", "LOSE")) for number, row in zip(ids, stages, strict=True)] == (
        query(
            "select id, status_id, name, sort, is_system from s.statuses where entity_id = 'DEAL_STAGE' order by sort"
        )
    )
    assert [(2, 0, "General", 300, True), (2, 9, "Funnel with Original Name", 200, False)] == query(
        "select entity_type_id, id, name, sort, is_default from s.categories order by entity_type_id, id limit 2"
    )


def test_the_examples_leave_no_issues(query):
    """All of it is understood, though the portal of the examples does not say whether it works with leads."""
    assert [] == query("select resource, message from s.load_issues")
    assert [] == query("select table_name, column_name, raw_value, reason from s.rejected_values")


def test_refusals_read_as_documented(tmp_path):
    """The vendor's examples of denial, their codes "", 0 and a sentence among them: each lost call is listed once, the rest comes."""
    refused = ("crm.currency.list", "crm.stagehistory.list", "crm.item.productrow.list", "crm.status.list")
    query = load(Crm(refused), ("leads", "stages", "stage_history", "product_rows", "currencies", "statuses"), tmp_path)

    assert {"currencies", "stage_history", "product_rows", "statuses"} == {
        resource for (resource,) in query("select resource from s.load_issues")
    }
    assert [(5,)] == query("select count(*) from s.leads")
    assert [(0,)] == query("select count(*) from s.currencies")
