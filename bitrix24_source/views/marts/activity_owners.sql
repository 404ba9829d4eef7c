-- Titles of all types to which an activity can belong.
SELECT t.entity_type_id, t.title FROM entity_types AS t
UNION ALL
SELECT CAST(3 AS BIGINT), 'Contacts'
UNION ALL
SELECT CAST(4 AS BIGINT), 'Companies'
