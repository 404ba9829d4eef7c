-- What each person created, won and lost in a month, by type. Won and lost count in the month of closing; open_now are the
-- items created in the month that are open today, so that each column can be summed up.
SELECT
    e.month,
    e.entity_type_id,
    MIN(e.entity_type) AS entity_type,
    e.responsible_id,
    MIN(u.name) AS responsible,
    MIN(u.department) AS department,
    CAST(SUM(e.created) AS BIGINT) AS created,
    CAST(SUM(e.won) AS BIGINT) AS won,
    CAST(SUM(e.lost) AS BIGINT) AS lost,
    CAST(SUM(e.won) AS DOUBLE PRECISION) / NULLIF(CAST(SUM(e.won) + SUM(e.lost) AS DOUBLE PRECISION), 0) AS win_rate,
    SUM(e.amount_won) AS amount_won,
    SUM(e.cycle_days) / NULLIF(CAST(SUM(e.cycles) AS DOUBLE PRECISION), 0) AS avg_cycle_days,
    CAST(SUM(e.open_now) AS BIGINT) AS open_now
FROM (
    SELECT
        CASE WHEN s.side = 0 THEN i.created_month ELSE i.closed_month END AS month,
        i.entity_type_id, i.entity_type, i.responsible_id,
        CASE WHEN s.side = 0 THEN i.items ELSE 0 END AS created,
        CASE WHEN s.side = 1 AND i.semantics = 'success' THEN i.items ELSE 0 END AS won,
        CASE WHEN s.side = 1 AND i.semantics = 'failure' THEN i.items ELSE 0 END AS lost,
        CASE WHEN s.side = 1 AND i.semantics = 'success' THEN i.amount END AS amount_won,
        CASE WHEN s.side = 1 AND i.semantics = 'success' THEN i.cycle_days END AS cycle_days,
        CASE WHEN s.side = 1 AND i.semantics = 'success' THEN i.cycles ELSE 0 END AS cycles,
        CASE WHEN s.side = 0 AND i.semantics = 'process' THEN i.items ELSE 0 END AS open_now
    FROM (
        SELECT
            MONTH_OF(m.created_date) AS created_month, MONTH_OF(m.closed_date) AS closed_month, m.entity_type_id,
            m.responsible_id, m.semantics, MIN(m.entity_type) AS entity_type,
            COUNT(*) AS items, SUM(m.amount_base) AS amount, SUM(m.cycle_days) AS cycle_days, COUNT(m.cycle_days) AS cycles
        FROM mart_items AS m
        GROUP BY MONTH_OF(m.created_date), MONTH_OF(m.closed_date), m.entity_type_id, m.responsible_id, m.semantics
    ) AS i
    CROSS JOIN (SELECT CAST(0 AS BIGINT) AS side UNION ALL SELECT 1) AS s
    WHERE s.side = 0 OR i.semantics IN ('success', 'failure')
) AS e
LEFT JOIN people AS u ON u.id = e.responsible_id
GROUP BY e.month, e.entity_type_id, e.responsible_id
