-- What did each company bring, by type: items won, and their amount in the base currency?
-- Items whose currency has no rate are counted apart.
SELECT
    company_id, company, entity_type_id, entity_type,
    COUNT(*) AS won,
    ROUND(CAST(SUM(amount_base) AS DECIMAL(24, 6)), 2) AS revenue,
    COUNT(CASE WHEN amount <> 0 AND amount_base IS NULL THEN 1 END) AS without_rate
FROM mart_items
WHERE semantics = 'success'
GROUP BY company_id, company, entity_type_id, entity_type
ORDER BY revenue DESC NULLS LAST, company_id, entity_type_id
