-- One row for each item of smart processes, leads, deals, quotes and invoices that is not deleted.
-- Joins with companies and contacts repeat the condition on the id: with one, PostgreSQL estimates hundreds of them per item.
-- The time of the load is a subquery in place, because a join with one row would keep PostgreSQL on one core.
SELECT
    i.entity_type_id,
    i.entity_type,
    i.id,
    i.title,
    i.category_id,
    c.name AS category,
    c.sort AS category_order,
    i.stage_id,
    i.stage,
    i.stage_order,
    i.stage_color,
    i.semantics,
    i.assigned_by_id AS responsible_id,
    u.name AS responsible,
    u.department,
    i.company_id,
    o.title AS company,
    i.contact_id,
    k.name AS contact,
    i.source_id,
    q.name AS source,
    i.created_time AS created_at,
    PORTAL_DAY(i.created_time) AS created_date,
    i.closed_at,
    PORTAL_DAY(i.closed_at) AS closed_date,
    i.due_date,
    i.moved_time AS moved_at,
    PORTAL_DAY(i.moved_time) AS moved_date,
    i.updated_time AS updated_at,
    i.amount,
    i.currency,
    i.amount_base,
    DAYS_BETWEEN(i.created_time, (SELECT n.at FROM as_of AS n)) AS age_days,
    DAYS_BETWEEN(i.entered_at, (SELECT n.at FROM as_of AS n)) AS days_in_stage,
    DAYS_BETWEEN(i.created_time, i.closed_at) AS cycle_days,
    i.semantics = 'process' AND i.due_date < PORTAL_DAY((SELECT n.at FROM as_of AS n)) AS is_overdue
FROM (
    SELECT
        b.entity_type_id, b.entity_type, b.id, b.title, b.category_id, COALESCE(s.code, a.code, UPPER(b.stage_id)) AS stage_id, b.assigned_by_id, b.company_id,
        b.contact_id, b.source_id, b.created_time, b.updated_time, b.moved_time, b.due_date, b.amount, b.currency,
        b.amount_base,
        COALESCE(s.name, a.name) AS stage,
        COALESCE(s.sort, a.sort) AS stage_order,
        COALESCE(s.color, a.color) AS stage_color,
        COALESCE(s.semantics, a.semantics, SEMANTICS(b.stage_semantic_id)) AS semantics,
        CASE
            WHEN COALESCE(s.semantics, a.semantics, SEMANTICS(b.stage_semantic_id)) <> 'process'
                THEN COALESCE(b.moved_time, b.date_closed, CASE WHEN b.tells_moves = 1 THEN b.created_time END)
        END AS closed_at,
        CASE
            WHEN b.stage_id IS NOT NULL AND b.tells_moves = 1 THEN COALESCE(b.moved_time, b.created_time)
        END AS entered_at
    FROM priced_items AS b
    LEFT JOIN stages_by_category AS s
        ON s.entity_type_id = b.entity_type_id AND s.category_id = b.category_id AND s.status_id = UPPER(b.stage_id)
    LEFT JOIN stages_by_code AS a
        ON a.entity_type_id = b.entity_type_id AND a.status_id = CASE WHEN s.code IS NULL THEN UPPER(b.stage_id) END
) AS i
LEFT JOIN all_categories AS c ON c.entity_type_id = i.entity_type_id AND c.id = i.category_id
LEFT JOIN people AS u ON u.id = i.assigned_by_id
LEFT JOIN (
    SELECT m.id, m.id AS same_id, MIN(m.title) AS title FROM companies AS m GROUP BY m.id
) AS o ON o.id = i.company_id AND o.same_id = i.company_id
LEFT JOIN (
    SELECT
        m.id, m.id AS same_id, MIN(NULLIF(TRIM(COALESCE(m.name, '') || ' ' || COALESCE(m.last_name, '')), '')) AS name
    FROM contacts AS m
    GROUP BY m.id
) AS k ON k.id = i.contact_id AND k.same_id = i.contact_id
LEFT JOIN (
    SELECT m.status_id, MIN(m.name) AS name FROM statuses AS m WHERE m.entity_id = 'SOURCE' GROUP BY m.status_id
) AS q ON q.status_id = i.source_id
