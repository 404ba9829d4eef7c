-- The rows of mart_stage_daily without labels: by how much items entering and leaving change a stage, by day.
-- Amounts are exact decimals, so that entering and leaving cancel out.
SELECT
    e.entity_type_id, e.category_id, e.stage_id, e.day,
    CAST(SUM(e.items) AS BIGINT) AS items,
    CAST(SUM(e.items * e.amount) AS DECIMAL(38, 6)) AS amount
FROM (
    SELECT s.entity_type_id, s.category_id, s.stage_id, s.entered_date AS day, s.amount, CAST(1 AS BIGINT) AS items
    FROM stage_stays AS s
    UNION ALL
    SELECT s.entity_type_id, s.category_id, s.stage_id, s.left_date, s.amount, CAST(-1 AS BIGINT)
    FROM stage_stays AS s
) AS e
WHERE e.day IS NOT NULL
GROUP BY e.entity_type_id, e.category_id, e.stage_id, e.day
