-- Which automation is switched on where: robots, the workflow designer, and workflow templates with what starts them?
-- Single robots and triggers are not to be had by REST.
-- Reads: spa_types, spa_automations, users; there are no marts of it.
SELECT
    t.entity_type_id, t.title AS smart_process,
    t.is_automation_enabled AS robots, t.is_biz_proc_enabled AS workflows,
    a.name AS template, a.auto_execute_on_create AS on_create, a.auto_execute_on_update AS on_update,
    TRIM(CONCAT(u.name, ' ', u.last_name)) AS changed_by, a.modified
FROM spa_types AS t
LEFT JOIN spa_automations AS a ON a.entity_type_id = t.entity_type_id
LEFT JOIN users AS u ON u.id = a.user_id
ORDER BY t.entity_type_id, a.id
