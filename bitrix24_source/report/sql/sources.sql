-- Where do items come from, what becomes of them, and what do they bring, by type and source?
SELECT
    entity_type_id, entity_type, source_id, source,
    COUNT(*) AS items,
    COUNT(CASE WHEN semantics = 'success' THEN 1 END) AS won,
    COUNT(CASE WHEN semantics = 'failure' THEN 1 END) AS lost,
    COUNT(CASE WHEN semantics = 'process' THEN 1 END) AS open,
    ROUND(
        100.0 * COUNT(CASE WHEN semantics = 'success' THEN 1 END)
        / NULLIF(COUNT(CASE WHEN semantics IN ('success', 'failure') THEN 1 END), 0), 1
    ) AS win_percent,
    ROUND(CAST(SUM(CASE WHEN semantics = 'success' THEN amount_base END) AS DECIMAL(24, 6)), 2) AS amount_won
FROM mart_items
GROUP BY 1, 2, 3, 4
ORDER BY 1, items DESC, 3
