-- Of the items that were created in a month, how many were won, lost, or are still open, by type and category?
SELECT
    entity_type_id, entity_type, category,
    CAST(DATE_TRUNC('month', created_date) AS DATE) AS month,
    COUNT(*) AS items,
    COUNT(CASE WHEN semantics = 'success' THEN 1 END) AS won,
    COUNT(CASE WHEN semantics = 'failure' THEN 1 END) AS lost,
    COUNT(CASE WHEN semantics = 'process' THEN 1 END) AS open,
    ROUND(100.0 * COUNT(CASE WHEN semantics = 'success' THEN 1 END) / COUNT(*), 1) AS won_percent
FROM mart_items
GROUP BY 1, 2, 3, 4
ORDER BY 1, 3, 4
