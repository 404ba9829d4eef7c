-- Stages by type, category and code: where two categories share a code, the item's own category counts.
SELECT
    s.entity_type_id, s.category_id, UPPER(s.status_id) AS status_id, MIN(s.status_id) AS code,
    MIN(s.name) AS name, MIN(s.sort) AS sort, MIN(s.color) AS color, MIN(s.semantics) AS semantics
FROM every_stage AS s
GROUP BY s.entity_type_id, s.category_id, UPPER(s.status_id)
