-- Which open items are past their planned end, and which has nobody touched for thirty days?
-- Deals and the smart process 177: put the numbers of your own there. Open is what stands in no final stage.
-- Reads: deals, spa_items_177, stages, spa_stages, users.
WITH ends AS (
    SELECT DISTINCT entity_type_id, status_id FROM stages WHERE semantics <> 'process'
    UNION
    SELECT DISTINCT entity_type_id, status_id FROM spa_stages WHERE semantics <> 'process'
),
items AS (
    SELECT 2 AS entity_type_id, id, title, stage_id, assigned_by_id, closedate, updated_time, last_activity_time
    FROM deals WHERE deleted_at IS NULL
    UNION ALL
    SELECT 177, id, title, stage_id, assigned_by_id, closedate, updated_time, last_activity_time
    FROM spa_items_177 WHERE deleted_at IS NULL
),
open_items AS (
    SELECT
        i.*,
        CASE WHEN i.last_activity_time > i.updated_time THEN i.last_activity_time ELSE i.updated_time END AS touched
    FROM items AS i
    LEFT JOIN ends AS e ON e.entity_type_id = i.entity_type_id AND e.status_id = i.stage_id
    WHERE e.status_id IS NULL
)
SELECT
    o.entity_type_id, o.id, o.title,
    TRIM(CONCAT(u.name, ' ', u.last_name)) AS responsible,
    o.closedate,
    o.closedate < CURRENT_DATE AS is_overdue,
    o.touched < CURRENT_TIMESTAMP - INTERVAL '30' DAY AS is_untouched
FROM open_items AS o
LEFT JOIN users AS u ON u.id = o.assigned_by_id
WHERE o.closedate < CURRENT_DATE OR o.touched < CURRENT_TIMESTAMP - INTERVAL '30' DAY
ORDER BY o.entity_type_id, o.closedate, o.id
