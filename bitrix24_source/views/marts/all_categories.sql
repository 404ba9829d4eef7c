-- Categories (pipelines) of all types, one row each.
SELECT c.entity_type_id, c.id, MIN(c.name) AS name, MIN(c.sort) AS sort
FROM (
    SELECT s.entity_type_id, s.id, s.name, s.sort FROM spa_categories AS s
    UNION ALL
    SELECT d.entity_type_id, d.id, d.name, d.sort FROM categories AS d
) AS c
GROUP BY c.entity_type_id, c.id
