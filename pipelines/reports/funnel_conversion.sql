-- Of the items that were created in a month, how many were won, lost, or are still on their way - by type, category and month?
-- Deals, leads, invoices and all smart processes; won is the success of the stage that the item was last moved to.
-- Reads: stage_history, spa_types, spa_categories, categories.
WITH moves AS (
    SELECT
        entity_type_id, owner_id, category_id, stage_semantic_id,
        MIN(created_time) OVER (PARTITION BY entity_type_id, owner_id) AS created,
        ROW_NUMBER() OVER (PARTITION BY entity_type_id, owner_id ORDER BY created_time DESC, id DESC) AS from_last
    FROM stage_history
),
names AS (
    SELECT entity_type_id, id, name FROM spa_categories
    UNION ALL
    SELECT entity_type_id, id, name FROM categories
)
SELECT
    m.entity_type_id,
    COALESCE(t.title, CASE m.entity_type_id WHEN 1 THEN 'leads' WHEN 2 THEN 'deals' WHEN 31 THEN 'invoices' END) AS type,
    n.name AS category,
    CAST(DATE_TRUNC('month', m.created) AS DATE) AS month,
    COUNT(*) AS items,
    SUM(CASE WHEN m.stage_semantic_id = 'S' THEN 1 ELSE 0 END) AS won,
    SUM(CASE WHEN m.stage_semantic_id = 'F' THEN 1 ELSE 0 END) AS lost,
    ROUND(100.0 * SUM(CASE WHEN m.stage_semantic_id = 'S' THEN 1 ELSE 0 END) / COUNT(*), 1) AS won_percent
FROM moves AS m
LEFT JOIN spa_types AS t ON t.entity_type_id = m.entity_type_id
LEFT JOIN names AS n ON n.entity_type_id = m.entity_type_id AND n.id = m.category_id
WHERE m.from_last = 1
GROUP BY 1, 2, 3, 4
ORDER BY 1, 3, 4
