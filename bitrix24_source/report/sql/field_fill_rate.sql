-- In how many items is what reports need filled in: stage, person, company, contact, source, planned end, amount?
WITH counts AS (
    SELECT
        entity_type_id, entity_type, COUNT(*) AS items,
        COUNT(NULLIF(title, '')) AS title, COUNT(stage) AS stage, COUNT(responsible_id) AS responsible,
        COUNT(company_id) AS company, COUNT(contact_id) AS contact, COUNT(NULLIF(source_id, '')) AS source,
        COUNT(due_date) AS due_date, COUNT(NULLIF(amount, 0)) AS amount
    FROM mart_items
    GROUP BY entity_type_id, entity_type
),
fields AS (
    SELECT entity_type_id, entity_type, items, 'title' AS field, title AS filled FROM counts
    UNION ALL SELECT entity_type_id, entity_type, items, 'stage', stage FROM counts
    UNION ALL SELECT entity_type_id, entity_type, items, 'responsible', responsible FROM counts
    UNION ALL SELECT entity_type_id, entity_type, items, 'company', company FROM counts
    UNION ALL SELECT entity_type_id, entity_type, items, 'contact', contact FROM counts
    UNION ALL SELECT entity_type_id, entity_type, items, 'source', source FROM counts
    UNION ALL SELECT entity_type_id, entity_type, items, 'due_date', due_date FROM counts
    UNION ALL SELECT entity_type_id, entity_type, items, 'amount', amount FROM counts
)
SELECT entity_type_id, entity_type, field, filled, items, ROUND(100.0 * filled / items, 1) AS filled_percent
FROM fields
ORDER BY entity_type_id, filled, field
