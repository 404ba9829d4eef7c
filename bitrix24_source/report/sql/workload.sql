-- Who is responsible for how much that is open: items, their worth, what is overdue, and activities that are not done?
SELECT
    MIN(b.department) AS department,
    b.responsible_id,
    MIN(b.responsible) AS responsible,
    SUM(b.items) AS open_items,
    ROUND(CAST(COALESCE(SUM(b.amount), 0) AS DECIMAL(24, 6)), 2) AS open_amount,
    SUM(b.overdue) AS overdue_items,
    SUM(b.activities) AS open_activities,
    SUM(b.late) AS late_activities
FROM (
    SELECT
        department, responsible_id, responsible, 1 AS items, amount_base AS amount,
        CASE WHEN is_overdue THEN 1 ELSE 0 END AS overdue, 0 AS activities, 0 AS late
    FROM mart_items
    WHERE semantics = 'process' AND responsible_id IS NOT NULL
    UNION ALL
    SELECT department, responsible_id, responsible, 0, NULL, 0, 1, CASE WHEN is_overdue THEN 1 ELSE 0 END
    FROM mart_activities
    WHERE NOT done AND responsible_id IS NOT NULL
) AS b
GROUP BY b.responsible_id
ORDER BY department, open_items DESC, b.responsible_id
