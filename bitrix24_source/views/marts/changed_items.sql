-- Items whose stays are not what the stage history says now: each side is summed up, and what differs does not cancel out.
SELECT c.entity_type_id, c.item_id
FROM (
    SELECT g.entity_type_id, g.item_id, g.stays, g.facts, COALESCE(p.amount, 0) AS amount
    FROM (
        SELECT
            h.entity_type_id, h.owner_id AS item_id, COUNT(*) AS stays,
            SUM(
                1000003 * h.id + SECONDS_SINCE_1970(h.created_time) + 7 * LENGTH(h.stage_id) + COALESCE(13 * h.category_id, 0)
                + 86413 * DAY_COUNT(CAST('1970-01-01' AS DATE), PORTAL_DAY(h.created_time))
            ) AS facts
        FROM stage_history AS h
        GROUP BY h.entity_type_id, h.owner_id
    ) AS g
    LEFT JOIN deleted_items AS d ON d.entity_type_id = g.entity_type_id AND d.id = g.item_id
    LEFT JOIN item_amounts AS p ON p.entity_type_id = g.entity_type_id AND p.id = g.item_id
    WHERE d.id IS NULL
    UNION ALL
    SELECT
        s.entity_type_id, s.item_id, -COUNT(*),
        -SUM(
            1000003 * s.move_id + SECONDS_SINCE_1970(s.entered_at) + 7 * LENGTH(s.stage_id) + COALESCE(13 * s.category_id, 0)
            + 86413 * DAY_COUNT(CAST('1970-01-01' AS DATE), s.entered_date)
        ),
        -MIN(s.amount)
    FROM stage_stays AS s
    GROUP BY s.entity_type_id, s.item_id
) AS c
GROUP BY c.entity_type_id, c.item_id
HAVING SUM(c.stays) <> 0 OR SUM(c.facts) <> 0 OR SUM(c.amount) <> 0
