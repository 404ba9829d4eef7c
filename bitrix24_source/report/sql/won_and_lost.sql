-- What was won and lost in each month of closing: how often, for how much, on average, and after how many days, by type?
SELECT
    entity_type_id, entity_type,
    CAST(DATE_TRUNC('month', closed_date) AS DATE) AS month,
    COUNT(CASE WHEN semantics = 'success' THEN 1 END) AS won,
    COUNT(CASE WHEN semantics = 'failure' THEN 1 END) AS lost,
    ROUND(100.0 * COUNT(CASE WHEN semantics = 'success' THEN 1 END) / COUNT(*), 1) AS win_percent,
    ROUND(CAST(SUM(CASE WHEN semantics = 'success' THEN amount_base END) AS DECIMAL(24, 6)), 2) AS amount_won,
    ROUND(CAST(AVG(CASE WHEN semantics = 'success' THEN amount_base END) AS DECIMAL(24, 6)), 2) AS average_won,
    ROUND(CAST(AVG(CASE WHEN semantics = 'success' THEN cycle_days END) AS DECIMAL(18, 4)), 2) AS cycle_days
FROM mart_items
WHERE closed_date IS NOT NULL
GROUP BY 1, 2, 3
ORDER BY 1, 3
