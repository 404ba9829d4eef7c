-- Who is responsible for how much that is open: deals, their worth, and activities that are not done; by department?
-- Somebody in two departments is counted in both; people whom the portal does not show have no name, and are counted all the same.
-- Reads: deals, stages, activities, users, users__uf_department, departments, currencies.
WITH ends AS (
    SELECT DISTINCT status_id FROM stages WHERE entity_type_id = 2 AND semantics <> 'process'
),
open_deals AS (
    SELECT
        d.assigned_by_id AS user_id, COUNT(*) AS deals,
        SUM(d.opportunity * CAST(c.amount AS DOUBLE PRECISION) / c.amount_cnt) AS amount
    FROM deals AS d
    LEFT JOIN ends AS e ON e.status_id = d.stage_id
    LEFT JOIN currencies AS c ON c.currency = d.currency_id
    WHERE d.deleted_at IS NULL AND e.status_id IS NULL
    GROUP BY d.assigned_by_id
),
open_activities AS (
    SELECT responsible_id AS user_id, COUNT(*) AS activities
    FROM activities
    WHERE deleted_at IS NULL AND NOT COALESCE(completed, FALSE)
    GROUP BY responsible_id
),
busy AS (
    SELECT user_id FROM open_deals
    UNION
    SELECT user_id FROM open_activities
)
SELECT
    dep.name AS department,
    b.user_id,
    TRIM(CONCAT(u.name, ' ', u.last_name)) AS responsible,
    COALESCE(d.deals, 0) AS open_deals,
    ROUND(CAST(COALESCE(d.amount, 0) AS DECIMAL(24, 6)), 2) AS amount_in_base_currency,
    COALESCE(a.activities, 0) AS open_activities
FROM busy AS b
LEFT JOIN open_deals AS d ON d.user_id = b.user_id
LEFT JOIN open_activities AS a ON a.user_id = b.user_id
LEFT JOIN users AS u ON u.id = b.user_id
LEFT JOIN users__uf_department AS ud ON ud.item_id = b.user_id
LEFT JOIN departments AS dep ON dep.id = ud.value
ORDER BY department, open_deals DESC, b.user_id
