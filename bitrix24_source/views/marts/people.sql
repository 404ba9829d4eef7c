-- People by id, with the first of their departments.
SELECT
    u.id,
    MIN(NULLIF(TRIM(COALESCE(u.name, '') || ' ' || COALESCE(u.last_name, '')), '')) AS name,
    MIN(d.name) AS department
FROM users AS u
LEFT JOIN (
    SELECT p.item_id, MIN(p.value) AS department_id FROM users__uf_department AS p WHERE p.position = 0 GROUP BY p.item_id
) AS f ON f.item_id = u.id
LEFT JOIN departments AS d ON d.id = f.department_id
GROUP BY u.id
