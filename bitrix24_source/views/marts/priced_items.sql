-- Items that are not deleted, with their amounts; NULL for smart processes in which amounts are switched off.
SELECT
    b.entity_type_id, b.id, b.title, b.category_id, b.stage_id, b.stage_semantic_id, b.assigned_by_id, b.company_id,
    b.contact_id, b.source_id, b.created_time, b.updated_time, b.moved_time, b.date_closed, b.tells_moves,
    t.title AS entity_type,
    CASE WHEN t.has_dates = 0 THEN NULL ELSE b.closedate END AS due_date,
    CASE WHEN t.has_amounts = 0 THEN NULL ELSE b.opportunity END AS amount,
    CASE WHEN t.has_amounts = 0 THEN NULL ELSE b.currency_id END AS currency,
    CASE
        WHEN t.has_amounts = 0 THEN NULL
        WHEN b.opportunity_account IS NOT NULL AND b.account_currency_id = (SELECT n.base_currency FROM as_of AS n)
            THEN BOUNDED(b.opportunity_account)
        WHEN b.opportunity = 0 THEN 0
        ELSE BOUNDED(b.opportunity) * r.rate
    END AS amount_base
FROM existing_items AS b
LEFT JOIN entity_types AS t ON t.entity_type_id = b.entity_type_id
LEFT JOIN rates AS r ON r.currency = b.currency_id
