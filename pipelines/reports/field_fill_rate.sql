-- Which fields are filled in how many items, and which does nobody use? Fields with several values are among them.
-- Deals and the smart process 177: put the numbers of your own there. Names are those of the labelled views.
-- Reads: deals_labeled, spa_items_177_labeled.
WITH cells AS (
    SELECT 'deals' AS items, f.key AS field, CAST(f.value AS TEXT) AS value
    FROM deals_labeled AS t, LATERAL JSON_EACH(TO_JSON(t)) AS f
    UNION ALL
    SELECT 'spa_items_177', f.key, CAST(f.value AS TEXT)
    FROM spa_items_177_labeled AS t, LATERAL JSON_EACH(TO_JSON(t)) AS f
)
SELECT
    items, field,
    SUM(CASE WHEN COALESCE(value, 'null') IN ('null', '""') THEN 0 ELSE 1 END) AS filled,
    COUNT(*) AS of_all,
    ROUND(100.0 * SUM(CASE WHEN COALESCE(value, 'null') IN ('null', '""') THEN 0 ELSE 1 END) / COUNT(*), 1) AS filled_percent
FROM cells
GROUP BY items, field
ORDER BY items, filled, field
