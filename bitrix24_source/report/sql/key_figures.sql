-- How does each type stand: what is open, won and lost, for how much, how fast, and what is new or late? One row each.
SELECT
    entity_type_id, entity_type,
    COUNT(*) AS items,
    COUNT(CASE WHEN semantics = 'process' THEN 1 END) AS open,
    COUNT(CASE WHEN semantics = 'success' THEN 1 END) AS won,
    COUNT(CASE WHEN semantics = 'failure' THEN 1 END) AS lost,
    ROUND(
        100.0 * COUNT(CASE WHEN semantics = 'success' THEN 1 END)
        / NULLIF(COUNT(CASE WHEN semantics IN ('success', 'failure') THEN 1 END), 0), 1
    ) AS win_percent,
    ROUND(CAST(SUM(CASE WHEN semantics = 'process' THEN amount_base END) AS DECIMAL(24, 6)), 2) AS amount_open,
    ROUND(CAST(SUM(CASE WHEN semantics = 'success' THEN amount_base END) AS DECIMAL(24, 6)), 2) AS amount_won,
    ROUND(CAST(AVG(CASE WHEN semantics = 'success' THEN amount_base END) AS DECIMAL(24, 6)), 2) AS average_won,
    ROUND(CAST(AVG(CASE WHEN semantics = 'success' THEN cycle_days END) AS DECIMAL(18, 4)), 2) AS cycle_days,
    COUNT(CASE WHEN age_days < 30 THEN 1 END) AS created_in_30_days,
    COUNT(CASE WHEN is_overdue THEN 1 END) AS overdue
FROM mart_items
GROUP BY 1, 2
ORDER BY items DESC, 1
