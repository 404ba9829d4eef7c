-- One row for each stay of an item in a stage, from its entry to its next move. Quotes have no history in Bitrix24.
SELECT
    h.entity_type_id,
    t.title AS entity_type,
    h.owner_id AS item_id,
    h.category_id,
    c.name AS category,
    h.stage_id,
    COALESCE(s.name, a.name) AS stage,
    COALESCE(s.sort, a.sort) AS stage_order,
    COALESCE(s.color, a.color) AS stage_color,
    COALESCE(s.semantics, a.semantics, SEMANTICS(h.stage_semantic_id)) AS semantics,
    h.created_time AS entered_at,
    PORTAL_DAY(h.created_time) AS entered_date,
    h.left_at,
    PORTAL_DAY(h.left_at) AS left_date,
    DAYS_BETWEEN(h.created_time, h.left_at) AS days,
    h.next_stage_id,
    COALESCE(x.name, y.name) AS next_stage,
    COALESCE(x.sort, y.sort) AS next_stage_order,
    COALESCE(x.semantics, y.semantics, SEMANTICS(h.next_semantic_id)) AS next_semantics,
    h.place = 1 AS is_first,
    h.left_at IS NULL AS is_current
FROM (
    SELECT
        g.entity_type_id, g.owner_id, g.category_id, g.stage_id, g.stage_semantic_id, g.created_time,
        LEAD(g.created_time) OVER (PARTITION BY g.entity_type_id, g.owner_id ORDER BY g.created_time, g.id) AS left_at,
        LEAD(g.stage_id) OVER (PARTITION BY g.entity_type_id, g.owner_id ORDER BY g.created_time, g.id) AS next_stage_id,
        LEAD(g.category_id) OVER (PARTITION BY g.entity_type_id, g.owner_id ORDER BY g.created_time, g.id)
            AS next_category_id,
        LEAD(g.stage_semantic_id) OVER (PARTITION BY g.entity_type_id, g.owner_id ORDER BY g.created_time, g.id)
            AS next_semantic_id,
        ROW_NUMBER() OVER (PARTITION BY g.entity_type_id, g.owner_id ORDER BY g.created_time, g.id) AS place
    FROM stage_history AS g
) AS h
LEFT JOIN deleted_items AS d ON d.entity_type_id = h.entity_type_id AND d.id = h.owner_id
LEFT JOIN entity_types AS t ON t.entity_type_id = h.entity_type_id
LEFT JOIN all_categories AS c ON c.entity_type_id = h.entity_type_id AND c.id = h.category_id
LEFT JOIN stages_by_category AS s
    ON s.entity_type_id = h.entity_type_id AND s.category_id = h.category_id AND s.status_id = h.stage_id
LEFT JOIN stages_by_code AS a ON a.entity_type_id = h.entity_type_id AND a.status_id = h.stage_id
LEFT JOIN stages_by_category AS x
    ON x.entity_type_id = h.entity_type_id AND x.category_id = h.next_category_id AND x.status_id = h.next_stage_id
LEFT JOIN stages_by_code AS y ON y.entity_type_id = h.entity_type_id AND y.status_id = h.next_stage_id
WHERE d.id IS NULL
