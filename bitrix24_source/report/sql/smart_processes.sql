-- What is there of each smart process: items, what they have come to, who works on them, and what changed last?
-- Reads: spa_types, beside the marts.
SELECT
    t.entity_type_id, t.title,
    COUNT(i.id) AS items,
    COUNT(CASE WHEN i.semantics = 'process' THEN 1 END) AS open,
    COUNT(CASE WHEN i.semantics = 'success' THEN 1 END) AS won,
    COUNT(CASE WHEN i.semantics = 'failure' THEN 1 END) AS lost,
    COUNT(CASE WHEN i.age_days < 30 THEN 1 END) AS created_in_30_days,
    COUNT(CASE WHEN i.is_overdue THEN 1 END) AS overdue,
    COUNT(DISTINCT i.category_id) AS categories,
    COUNT(DISTINCT i.responsible_id) AS people,
    ROUND(CAST(SUM(CASE WHEN i.semantics = 'process' THEN i.amount_base END) AS DECIMAL(24, 6)), 2) AS amount_open,
    MAX(i.updated_at) AS last_change
FROM spa_types AS t
LEFT JOIN mart_items AS i ON i.entity_type_id = t.entity_type_id
GROUP BY t.entity_type_id, t.title
ORDER BY items DESC, t.entity_type_id
