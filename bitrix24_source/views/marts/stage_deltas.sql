-- By how much entering and leaving change a stage, by day. A move is both: into its own stage, out of the one before it.
-- Amounts are exact decimals, so that what leaves takes all of it along.
SELECT
    e.entity_type_id, e.category_id, e.stage_id, e.day, SUM(e.items) AS items, SUM(e.items * p.amount) AS amount
FROM (
    SELECT h.entity_type_id, h.owner_id, h.category_id, h.stage_id, PORTAL_DAY(h.created_time) AS day, CAST(1 AS BIGINT) AS items
    FROM stage_history AS h
    UNION ALL
    SELECT
        h.entity_type_id, h.owner_id, h.category_id, h.stage_id,
        PORTAL_DAY(LEAD(h.created_time) OVER (PARTITION BY h.entity_type_id, h.owner_id ORDER BY h.created_time, h.id)),
        CAST(-1 AS BIGINT)
    FROM stage_history AS h
) AS e
LEFT JOIN deleted_items AS d ON d.entity_type_id = e.entity_type_id AND d.id = e.owner_id
LEFT JOIN (
    SELECT
        i.entity_type_id, i.id,
        CASE WHEN ABS(i.amount_base) < 1E18 THEN CAST(i.amount_base AS DECIMAL(38, 6)) END AS amount
    FROM priced_items AS i
) AS p ON p.entity_type_id = e.entity_type_id AND p.id = e.owner_id
WHERE e.day IS NOT NULL AND d.id IS NULL
GROUP BY e.entity_type_id, e.category_id, e.stage_id, e.day
