-- What entering and leaving changes in a stage, by day. Amounts are exact decimals, so that what left takes all of it along.
SELECT
    e.entity_type_id, e.category_id, e.stage_id, e.day, SUM(e.items) AS items, SUM(e.amount) AS amount
FROM (
    SELECT
        m.entity_type_id, m.category_id, m.stage_id, m.entered_date AS day, CAST(1 AS BIGINT) AS items,
        CASE WHEN ABS(i.amount_base) < 1E18 THEN CAST(i.amount_base AS DECIMAL(38, 6)) END AS amount
    FROM mart_stage_moves AS m
    LEFT JOIN mart_items AS i ON i.entity_type_id = m.entity_type_id AND i.id = m.item_id
    UNION ALL
    SELECT
        m.entity_type_id, m.category_id, m.stage_id, m.left_date, CAST(-1 AS BIGINT),
        CASE WHEN ABS(i.amount_base) < 1E18 THEN CAST(-i.amount_base AS DECIMAL(38, 6)) END
    FROM mart_stage_moves AS m
    LEFT JOIN mart_items AS i ON i.entity_type_id = m.entity_type_id AND i.id = m.item_id
    WHERE m.left_at IS NOT NULL
) AS e
WHERE e.day IS NOT NULL
GROUP BY e.entity_type_id, e.category_id, e.stage_id, e.day
