-- One row for each activity, with its type, responsible person, item, deadline and state.
SELECT
    a.id,
    CASE a.type_id
        WHEN 1 THEN 'meeting'
        WHEN 2 THEN 'call'
        WHEN 3 THEN 'task'
        WHEN 4 THEN 'e-mail'
        ELSE COALESCE(
            CASE a.provider_id
                WHEN 'CRM_TODO' THEN 'to-do'
                WHEN 'CRM_TASKS_TASK' THEN 'task'
                WHEN 'CRM_MEETING' THEN 'meeting'
                WHEN 'CRM_CALL' THEN 'call'
                WHEN 'VOXIMPLANT_CALL' THEN 'call'
                WHEN 'CRM_EMAIL' THEN 'e-mail'
                WHEN 'CRM_SMS' THEN 'message'
                WHEN 'CRM_WEBFORM' THEN 'form'
                WHEN 'IMOPENLINES_SESSION' THEN 'chat'
            END,
            a.provider_id
        )
    END AS type,
    a.subject,
    a.responsible_id,
    u.name AS responsible,
    u.department,
    a.owner_type_id AS entity_type_id,
    t.title AS entity_type,
    a.owner_id AS item_id,
    i.title AS item,
    a.created AS created_at,
    PORTAL_DAY(a.created) AS created_date,
    a.deadline,
    PORTAL_DAY(a.deadline) AS deadline_date,
    COALESCE(a.completed, FALSE) AS done,
    CASE
        WHEN COALESCE(a.completed, FALSE) OR a.deadline IS NULL THEN NULL
        WHEN a.deadline < (SELECT n.at FROM as_of AS n)
            THEN DAY_COUNT(PORTAL_DAY(a.deadline), PORTAL_DAY((SELECT n.at FROM as_of AS n)))
        ELSE 0
    END AS days_late,
    NOT COALESCE(a.completed, FALSE) AND COALESCE(a.deadline < (SELECT n.at FROM as_of AS n), FALSE) AS is_overdue
FROM activities AS a
LEFT JOIN people AS u ON u.id = a.responsible_id
LEFT JOIN activity_owners AS t ON t.entity_type_id = a.owner_type_id
LEFT JOIN every_owner AS i ON i.entity_type_id = a.owner_type_id AND i.id = a.owner_id
