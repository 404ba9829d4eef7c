-- One row for each stay of an item in a stage, from its entry to its next move. Quotes have no history in Bitrix24.
SELECT
    h.entity_type_id,
    w.entity_type,
    h.item_id,
    h.category_id,
    w.category,
    h.stage_id,
    w.stage,
    w.stage_order,
    w.stage_color,
    COALESCE(w.semantics, SEMANTICS(h.stage_semantic_id)) AS semantics,
    h.entered_at,
    h.entered_date,
    h.left_at,
    h.left_date,
    DAYS_BETWEEN(h.entered_at, h.left_at) AS days,
    h.next_stage_id,
    x.stage AS next_stage,
    x.stage_order AS next_stage_order,
    COALESCE(x.semantics, SEMANTICS(h.next_semantic_id)) AS next_semantics,
    h.place = 1 AS is_first,
    h.left_at IS NULL AS is_current
FROM stage_stays AS h
LEFT JOIN stage_words AS w
    ON w.entity_type_id = h.entity_type_id AND w.category_key = COALESCE(h.category_id, -1) AND w.stage_id = h.stage_id
LEFT JOIN stage_words AS x
    ON x.entity_type_id = h.entity_type_id AND x.category_key = COALESCE(h.next_category_id, -1)
    AND x.stage_id = h.next_stage_id
