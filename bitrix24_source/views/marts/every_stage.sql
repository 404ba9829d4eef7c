-- The stage directories of all types.
SELECT s.entity_type_id, s.category_id, s.status_id, s.name, s.sort, s.color, s.semantics FROM spa_stages AS s
UNION ALL
SELECT d.entity_type_id, d.category_id, d.status_id, d.name, d.sort, d.color, d.semantics FROM stages AS d
