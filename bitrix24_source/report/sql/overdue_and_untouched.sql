-- Which open items are past their planned end, and which has nobody changed in the thirty days before the load?
SELECT
    i.entity_type_id, i.entity_type, i.id, i.title, i.responsible, i.stage, i.due_date,
    COALESCE(i.is_overdue, FALSE) AS is_overdue,
    i.updated_at < p.loaded_at - INTERVAL '30' DAY AS is_untouched
FROM mart_items AS i
CROSS JOIN portal AS p
WHERE i.semantics = 'process' AND (i.is_overdue OR i.updated_at < p.loaded_at - INTERVAL '30' DAY)
ORDER BY i.entity_type_id, i.due_date NULLS LAST, i.id
