-- Items whose kept stays differ from the stage history, as first ids of ranges; FIRST_ID defines their width.
-- Both sides are aggregated by columns with few values, without a sort: checksums of ids, items and times of moves have a weight for
-- each id, so that differences do not cancel out. Derived columns (place, left_at, next stage) are not compared; of amounts, only
-- those of first stays are.
SELECT c.entity_type_id, c.first_id
FROM (
    SELECT g.entity_type_id, g.first_id, g.category_id, COALESCE(v.code, a.code, UPPER(g.stage_id)) AS stage_id,
        g.stage_semantic_id, g.moves, g.facts
    FROM (
        SELECT
            h.entity_type_id, FIRST_ID(h.owner_id) AS first_id, h.category_id, h.stage_id, h.stage_semantic_id,
            COUNT(*) AS moves,
            SUM(h.id + (1 + h.id % 1000003) * (SECONDS_SINCE_1970(h.created_time) + 86413 * (h.owner_id % 1000))) AS facts
        FROM stage_history AS h
        LEFT JOIN deleted_items AS d ON d.entity_type_id = h.entity_type_id AND d.id = h.owner_id
        WHERE d.id IS NULL
        GROUP BY h.entity_type_id, FIRST_ID(h.owner_id), h.category_id, h.stage_id, h.stage_semantic_id
    ) AS g
    LEFT JOIN stages_by_category AS v
        ON v.entity_type_id = g.entity_type_id AND v.category_id = g.category_id AND v.status_id = UPPER(g.stage_id)
    LEFT JOIN stages_by_code AS a
        ON a.entity_type_id = g.entity_type_id AND a.status_id = CASE WHEN v.code IS NULL THEN UPPER(g.stage_id) END
    UNION ALL
    SELECT
        s.entity_type_id, FIRST_ID(s.item_id), s.category_id, s.stage_id, s.stage_semantic_id,
        -COUNT(*),
        -SUM(s.move_id + (1 + s.move_id % 1000003) * (SECONDS_SINCE_1970(s.entered_at) + 86413 * (s.item_id % 1000)))
    FROM stage_stays AS s
    GROUP BY s.entity_type_id, FIRST_ID(s.item_id), s.category_id, s.stage_id, s.stage_semantic_id
) AS c
GROUP BY c.entity_type_id, c.first_id, c.category_id, c.stage_id, c.stage_semantic_id
HAVING SUM(c.moves) <> 0 OR SUM(c.facts) <> 0
UNION
SELECT s.entity_type_id, FIRST_ID(s.item_id)
FROM stage_stays AS s
LEFT JOIN item_amounts AS p ON p.entity_type_id = s.entity_type_id AND p.id = s.item_id
WHERE s.place = 1 AND s.amount IS DISTINCT FROM COALESCE(p.amount, 0)
