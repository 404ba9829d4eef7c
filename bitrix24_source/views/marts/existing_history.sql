-- The stage history of items that are not deleted, with the portal's day of each move and the item's present amount. Stage codes
-- are written as in the stage directory, else in upper case. This is done here so that PostgreSQL can estimate the number of stages.
SELECT
    h.id, h.entity_type_id, h.owner_id, h.category_id, COALESCE(s.code, a.code, UPPER(h.stage_id)) AS stage_id,
    h.stage_semantic_id, h.created_time,
    PORTAL_DAY(h.created_time) AS created_date,
    COALESCE(p.amount, 0) AS amount
FROM stage_history AS h
LEFT JOIN deleted_items AS d ON d.entity_type_id = h.entity_type_id AND d.id = h.owner_id
LEFT JOIN item_amounts AS p ON p.entity_type_id = h.entity_type_id AND p.id = h.owner_id
LEFT JOIN stages_by_category AS s
    ON s.entity_type_id = h.entity_type_id AND s.category_id = h.category_id AND s.status_id = UPPER(h.stage_id)
LEFT JOIN stages_by_code AS a
    ON a.entity_type_id = h.entity_type_id AND a.status_id = CASE WHEN s.code IS NULL THEN UPPER(h.stage_id) END
WHERE d.id IS NULL
