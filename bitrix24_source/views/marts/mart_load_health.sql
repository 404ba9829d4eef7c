-- The result of the last run for each table, and earlier runs with issues. Rejected values are those not corrected since.
SELECT
    f.resource,
    f.load_id,
    MIN(r.inserted_at) AS loaded_at,
    CAST(SUM(f.rows) AS BIGINT) AS rows,
    CAST(SUM(f.issues) AS BIGINT) AS issues,
    CAST(SUM(f.rejected) AS BIGINT) AS rejected_values,
    DAYS_BETWEEN(MIN(r.inserted_at), CURRENT_TIMESTAMP) * 24 AS age_hours,
    f.load_id = MIN(l.load_id) AS is_last_run
FROM (
    SELECT
        c.table_name AS resource, l.load_id, c.rows, CAST(0 AS BIGINT) AS issues, CAST(0 AS BIGINT) AS rejected
    FROM table_counts AS c CROSS JOIN last_run AS l
    UNION ALL
    SELECT v.table_name, l.load_id, NULL, CAST(0 AS BIGINT), CAST(1 AS BIGINT)
    FROM rejected_values AS v CROSS JOIN last_run AS l
    UNION ALL
    SELECT
        CASE
            WHEN i.resource = 'spa_items' AND i.entity_type_id IS NOT NULL
                THEN 'spa_items_' || CAST(i.entity_type_id AS TEXT)
            ELSE i.resource
        END,
        i.load_id, NULL, CAST(1 AS BIGINT), CAST(0 AS BIGINT)
    FROM load_issues AS i
) AS f
CROSS JOIN last_run AS l
LEFT JOIN _dlt_loads AS r ON r.load_id = f.load_id
GROUP BY f.resource, f.load_id
