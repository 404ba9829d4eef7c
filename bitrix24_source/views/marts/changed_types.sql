-- Types whose changes by day differ from the sums of the stays, and whether the days of the stays are those of another zone.
-- Days need not be computed for instants between two of the same day.
SELECT c.entity_type_id, MAX(c.wrong_days) AS wrong_days
FROM (
    SELECT
        g.entity_type_id, g.category_id, g.stage_id, g.items, g.days, g.amount,
        CASE
            WHEN PORTAL_DAY(g.first_at) IS DISTINCT FROM g.day OR PORTAL_DAY(g.last_at) IS DISTINCT FROM g.day THEN 1 ELSE 0
        END AS wrong_days
    FROM (
        SELECT
            s.entity_type_id, s.category_id, s.stage_id, s.entered_date AS day,
            MIN(s.entered_at) AS first_at, MAX(s.entered_at) AS last_at,
            COUNT(s.entered_date) - COUNT(s.left_date) AS items,
            COALESCE(SUM(DAY_COUNT(CAST('1970-01-01' AS DATE), s.entered_date)), 0)
            - COALESCE(SUM(DAY_COUNT(CAST('1970-01-01' AS DATE), s.left_date)), 0) AS days,
            SUM(CASE WHEN s.entered_date IS NOT NULL AND s.left_date IS NULL THEN s.amount END) AS amount
        FROM stage_stays AS s
        GROUP BY s.entity_type_id, s.category_id, s.stage_id, s.entered_date
    ) AS g
    UNION ALL
    SELECT
        d.entity_type_id, d.category_id, d.stage_id, -d.items, -d.items * DAY_COUNT(CAST('1970-01-01' AS DATE), d.day),
        -d.amount, 0
    FROM stage_changes AS d
) AS c
GROUP BY c.entity_type_id, c.category_id, c.stage_id
HAVING SUM(c.items) <> 0 OR SUM(c.days) <> 0 OR SUM(c.amount) <> 0 OR MAX(c.wrong_days) <> 0
