-- The rows of mart_stage_moves without labels: a stay lasts from an item's entry into a stage to its next move.
SELECT
    h.entity_type_id,
    h.owner_id AS item_id,
    h.id AS move_id,
    h.category_id,
    h.stage_id,
    h.stage_semantic_id,
    h.created_time AS entered_at,
    h.created_date AS entered_date,
    LEAD(h.created_time) OVER (PARTITION BY h.entity_type_id, h.owner_id ORDER BY h.created_time, h.id) AS left_at,
    LEAD(h.created_date) OVER (PARTITION BY h.entity_type_id, h.owner_id ORDER BY h.created_time, h.id) AS left_date,
    LEAD(h.category_id) OVER (PARTITION BY h.entity_type_id, h.owner_id ORDER BY h.created_time, h.id) AS next_category_id,
    LEAD(h.stage_id) OVER (PARTITION BY h.entity_type_id, h.owner_id ORDER BY h.created_time, h.id) AS next_stage_id,
    LEAD(h.stage_semantic_id) OVER (PARTITION BY h.entity_type_id, h.owner_id ORDER BY h.created_time, h.id)
        AS next_semantic_id,
    ROW_NUMBER() OVER (PARTITION BY h.entity_type_id, h.owner_id ORDER BY h.created_time, h.id) AS place,
    h.amount
FROM existing_history AS h
