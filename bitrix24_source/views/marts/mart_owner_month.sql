-- What each person created, won and lost in a month, by type. Won and lost count in the month of closing; open_now are the
-- items created in the month that are open today, so that each column can be summed up.
SELECT
    e.month,
    e.entity_type_id,
    MIN(e.entity_type) AS entity_type,
    e.responsible_id,
    MIN(e.responsible) AS responsible,
    MIN(e.department) AS department,
    CAST(SUM(e.created) AS BIGINT) AS created,
    CAST(SUM(e.won) AS BIGINT) AS won,
    CAST(SUM(e.lost) AS BIGINT) AS lost,
    CAST(SUM(e.won) AS DOUBLE PRECISION) / NULLIF(CAST(SUM(e.won) + SUM(e.lost) AS DOUBLE PRECISION), 0) AS win_rate,
    SUM(e.amount_won) AS amount_won,
    AVG(e.cycle_days) AS avg_cycle_days,
    CAST(SUM(e.open_now) AS BIGINT) AS open_now
FROM (
    SELECT
        MONTH_OF(i.created_date) AS month, i.entity_type_id, i.entity_type, i.responsible_id, i.responsible, i.department,
        1 AS created, 0 AS won, 0 AS lost, CAST(NULL AS DOUBLE PRECISION) AS amount_won,
        CAST(NULL AS DOUBLE PRECISION) AS cycle_days, CASE WHEN i.semantics = 'process' THEN 1 ELSE 0 END AS open_now
    FROM mart_items AS i
    UNION ALL
    SELECT
        MONTH_OF(i.closed_date), i.entity_type_id, i.entity_type, i.responsible_id, i.responsible, i.department,
        0, CASE WHEN i.semantics = 'success' THEN 1 ELSE 0 END, CASE WHEN i.semantics = 'failure' THEN 1 ELSE 0 END,
        CASE WHEN i.semantics = 'success' THEN i.amount_base END,
        CASE WHEN i.semantics = 'success' THEN i.cycle_days END, 0
    FROM mart_items AS i
    WHERE i.semantics IN ('success', 'failure')
) AS e
GROUP BY e.month, e.entity_type_id, e.responsible_id
