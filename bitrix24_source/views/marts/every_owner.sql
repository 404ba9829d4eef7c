-- Titles of items that are not deleted, of contacts and companies, to which an activity can belong.
SELECT i.entity_type_id, i.id, i.title FROM existing_items AS i
UNION ALL
SELECT
    CAST(3 AS BIGINT), c.id, MIN(NULLIF(TRIM(COALESCE(c.name, '') || ' ' || COALESCE(c.last_name, '')), ''))
FROM contacts AS c
GROUP BY c.id
UNION ALL
SELECT CAST(4 AS BIGINT), c.id, MIN(c.title) FROM companies AS c GROUP BY c.id
