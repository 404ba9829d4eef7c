-- The stage history of items that live, a stage spelt in one way, with the portal's day of each move and the item's present amount.
SELECT
    h.id, h.entity_type_id, h.owner_id, h.category_id, UPPER(h.stage_id) AS stage_id, h.stage_semantic_id, h.created_time,
    PORTAL_DAY(h.created_time) AS created_date,
    COALESCE(p.amount, 0) AS amount
FROM stage_history AS h
LEFT JOIN deleted_items AS d ON d.entity_type_id = h.entity_type_id AND d.id = h.owner_id
LEFT JOIN item_amounts AS p ON p.entity_type_id = h.entity_type_id AND p.id = h.owner_id
WHERE d.id IS NULL
