-- The names of all stages in stays, by the code in stays: looked up once per stage instead of once per move.
SELECT
    k.entity_type_id, k.category_key, COALESCE(s.code, a.code, k.stage_id) AS stage_id,
    MIN(t.title) AS entity_type,
    MIN(c.name) AS category,
    MIN(COALESCE(s.name, a.name)) AS stage,
    MIN(COALESCE(s.sort, a.sort)) AS stage_order,
    MIN(COALESCE(s.color, a.color)) AS stage_color,
    MIN(COALESCE(s.semantics, a.semantics)) AS semantics
FROM (
    SELECT DISTINCT r.entity_type_id, r.category_id, COALESCE(r.category_id, -1) AS category_key, UPPER(r.stage_id) AS stage_id
    FROM stages_of_history AS r
) AS k
LEFT JOIN entity_types AS t ON t.entity_type_id = k.entity_type_id
LEFT JOIN all_categories AS c ON c.entity_type_id = k.entity_type_id AND c.id = k.category_id
LEFT JOIN stages_by_category AS s
    ON s.entity_type_id = k.entity_type_id AND s.category_id = k.category_id AND s.status_id = k.stage_id
LEFT JOIN stages_by_code AS a ON a.entity_type_id = k.entity_type_id AND a.status_id = k.stage_id
GROUP BY k.entity_type_id, k.category_key, COALESCE(s.code, a.code, k.stage_id)
