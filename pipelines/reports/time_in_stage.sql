-- How long do items stay in a stage, from one move to the next? Stages that an item is still in are counted apart.
-- Deals, leads, invoices and all smart processes; a stage that was entered twice counts twice.
-- Reads: stage_history, spa_stages, stages.
WITH moves AS (
    SELECT
        entity_type_id, owner_id, stage_id, created_time,
        LEAD(created_time) OVER (PARTITION BY entity_type_id, owner_id ORDER BY created_time, id) AS left_at
    FROM stage_history
),
names AS (
    SELECT entity_type_id, status_id, MIN(name) AS name, MIN(sort) AS sort
    FROM (
        SELECT entity_type_id, status_id, name, sort FROM spa_stages
        UNION ALL
        SELECT entity_type_id, status_id, name, sort FROM stages
    ) AS every_stage
    GROUP BY entity_type_id, status_id
),
days AS (
    SELECT *, CAST(EXTRACT(EPOCH FROM (left_at - created_time)) AS DOUBLE PRECISION) / 86400 AS days FROM moves
)
SELECT
    d.entity_type_id, d.stage_id, n.name AS stage,
    COUNT(d.left_at) AS times_left,
    COUNT(*) - COUNT(d.left_at) AS still_there,
    ROUND(CAST(AVG(d.days) AS DECIMAL(18, 4)), 2) AS average_days,
    ROUND(CAST(PERCENTILE_CONT(0.5) WITHIN GROUP (ORDER BY d.days) AS DECIMAL(18, 4)), 2) AS median_days
FROM days AS d
LEFT JOIN names AS n ON n.entity_type_id = d.entity_type_id AND n.status_id = d.stage_id
GROUP BY d.entity_type_id, d.stage_id, n.name, n.sort
ORDER BY d.entity_type_id, n.sort, d.stage_id
