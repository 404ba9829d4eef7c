"""Dagster: an asset for each resource, loaded every two hours, and a check that tells when something was left out.

Needs `pip install "dlt-source-bitrix24[postgres]" dagster-dlt dagster-webserver`, and the portal's and the warehouse's
credentials in the code location's environment or .dlt/secrets.toml. To look at it, from the folder that holds .dlt:

    dagster dev -f pipelines/dagster_assets.py

One run at a time: the assets are in the pool `bitrix24`, whose limit is the instance's to set (`dagster.yaml`:
`concurrency: {pools: {default_limit: 1}}`). Nothing that a run leaves on its machine is needed by the next one, dlt takes its state
from the destination; but oauth2 must keep its tokens: name a `token_file` on a disk that stays, or pass a `token_store`.
The first load of a big portal is best done by `bitrix24 load --destination postgres`, which commits slices of it: the pipeline
and the dataset are the same, and these assets go on from there. Another portal is another copy of this with
`bitrix24(portal="emea")`, the names `bitrix24_emea`, and a pool of its own.
"""

from collections.abc import Iterator
from typing import Any

import dagster as dg
import dlt
from dagster_dlt import DagsterDltResource, dlt_assets

from bitrix24_source import bitrix24

ISSUES = dg.AssetKey("dlt_bitrix24_load_issues")


@dlt_assets(
    dlt_source=bitrix24(),
    dlt_pipeline=dlt.pipeline("bitrix24", destination="postgres", dataset_name="bitrix24", progress="log"),
    name="bitrix24",
    group_name="bitrix24",
    pool="bitrix24",
)
def bitrix24_assets(context: dg.AssetExecutionContext, loader: DagsterDltResource) -> Iterator[Any]:
    # a source of each run's own: dagster-dlt takes the columns' names out of the schema of what it has loaded
    yield from loader.run(context=context, dlt_source=bitrix24())


@dg.asset_check(asset=ISSUES)
def nothing_left_out(context: dg.AssetCheckExecutionContext) -> dg.AssetCheckResult:
    """What could not be loaded is in `load_issues`; the rest is there, so that this warns and fails nothing."""
    event = context.instance.get_latest_materialization_event(ISSUES)
    metadata = event.asset_materialization.metadata if event and event.asset_materialization else {}
    count = metadata["rows_loaded"].value if "rows_loaded" in metadata else 0
    return dg.AssetCheckResult(passed=not count, severity=dg.AssetCheckSeverity.WARN, metadata={"issues": count})


load = dg.define_asset_job(
    "load_bitrix24",
    selection=dg.AssetSelection.groups("bitrix24"),
    op_retry_policy=dg.RetryPolicy(max_retries=2, delay=600),
)

defs = dg.Definitions(
    assets=[bitrix24_assets],
    asset_checks=[nothing_left_out],
    jobs=[load],
    schedules=[dg.ScheduleDefinition(job=load, cron_schedule="0 */2 * * *")],
    resources={"loader": DagsterDltResource()},
)
