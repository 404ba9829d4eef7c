-- What did each company bring, over won deals and successful items of a smart process, in the account's currency?
-- The smart process is 177: put the number of your own there. Amounts in unknown currencies are counted apart.
-- Reads: deals, spa_items_177, spa_stages, companies, currencies.
WITH won AS (
    SELECT 'deals' AS source, company_id, opportunity, currency_id
    FROM deals WHERE deleted_at IS NULL AND stage_semantic_id = 'S'
    UNION ALL
    SELECT 'spa_items_177', i.company_id, i.opportunity, i.currency_id
    FROM spa_items_177 AS i
    WHERE i.deleted_at IS NULL
        AND i.stage_id IN (SELECT status_id FROM spa_stages WHERE entity_type_id = 177 AND semantics = 'success')
)
SELECT
    w.company_id, c.title AS company,
    SUM(CASE WHEN w.source = 'deals' THEN 1 ELSE 0 END) AS deals,
    SUM(CASE WHEN w.source = 'deals' THEN 0 ELSE 1 END) AS items,
    ROUND(CAST(SUM(w.opportunity * CAST(x.amount AS DOUBLE PRECISION) / x.amount_cnt) AS DECIMAL(24, 6)), 2) AS revenue,
    SUM(CASE WHEN x.currency IS NULL AND w.opportunity <> 0 THEN 1 ELSE 0 END) AS without_rate
FROM won AS w
LEFT JOIN companies AS c ON c.id = w.company_id
LEFT JOIN currencies AS x ON x.currency = w.currency_id
GROUP BY w.company_id, c.title
ORDER BY revenue DESC NULLS LAST, w.company_id
