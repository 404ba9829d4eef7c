-- Titles of the types in mart_items, and the features of smart processes: 0 if switched off.
-- If a feature is switched off, rows keep its columns, filled with defaults.
SELECT
    t.entity_type_id,
    MIN(t.title) AS title,
    MIN(CASE WHEN t.is_begin_close_dates_enabled THEN 1 WHEN NOT t.is_begin_close_dates_enabled THEN 0 END) AS has_dates,
    MIN(CASE WHEN t.is_link_with_products_enabled THEN 1 WHEN NOT t.is_link_with_products_enabled THEN 0 END) AS has_amounts
FROM (
    SELECT s.entity_type_id, s.title, s.is_begin_close_dates_enabled, s.is_link_with_products_enabled FROM spa_types AS s
    UNION ALL
    SELECT CAST(1 AS BIGINT), 'Leads', NULL, NULL
    UNION ALL
    SELECT CAST(2 AS BIGINT), 'Deals', NULL, NULL
    UNION ALL
    SELECT CAST(7 AS BIGINT), 'Quotes', NULL, NULL
    UNION ALL
    SELECT CAST(31 AS BIGINT), 'Invoices', NULL, NULL
) AS t
GROUP BY t.entity_type_id
