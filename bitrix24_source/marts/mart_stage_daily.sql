-- How many items stood in a stage at the end of a day, and their present amount; from the stage's first item on, up to the load.
SELECT
    f.day,
    f.entity_type_id,
    t.title AS entity_type,
    f.category_id,
    c.name AS category,
    f.stage_id,
    COALESCE(s.name, a.name) AS stage,
    COALESCE(s.sort, a.sort) AS stage_order,
    COALESCE(s.color, a.color) AS stage_color,
    COALESCE(s.semantics, a.semantics) AS semantics,
    f.items,
    CAST(f.amount AS DOUBLE PRECISION) AS amount_base
FROM (
    SELECT
        g.day, g.entity_type_id, g.category_id, g.stage_id,
        CAST(SUM(COALESCE(e.items, 0)) OVER (
            PARTITION BY g.entity_type_id, g.category_id, g.stage_id ORDER BY g.day
        ) AS BIGINT) AS items,
        SUM(COALESCE(e.amount, 0)) OVER (PARTITION BY g.entity_type_id, g.category_id, g.stage_id ORDER BY g.day) AS amount
    FROM (
        SELECT ADD_DAYS(k.first_day, m.n) AS day, k.entity_type_id, k.category_id, k.stage_id
        FROM (
            SELECT
                e.entity_type_id, e.category_id, e.stage_id,
                MIN(e.day) AS first_day, MAX(DAY_COUNT(e.day, PORTAL_DAY(n.at))) AS days
            FROM stage_deltas AS e
            CROSS JOIN as_of AS n
            GROUP BY e.entity_type_id, e.category_id, e.stage_id
        ) AS k
        JOIN numbers AS m ON m.n <= k.days
    ) AS g
    LEFT JOIN stage_deltas AS e
        ON e.entity_type_id = g.entity_type_id AND e.stage_id = g.stage_id AND e.day = g.day
        AND COALESCE(e.category_id, -1) = COALESCE(g.category_id, -1)
) AS f
LEFT JOIN entity_types AS t ON t.entity_type_id = f.entity_type_id
LEFT JOIN all_categories AS c ON c.entity_type_id = f.entity_type_id AND c.id = f.category_id
LEFT JOIN stages_by_category AS s
    ON s.entity_type_id = f.entity_type_id AND s.category_id = f.category_id AND s.status_id = f.stage_id
LEFT JOIN stages_by_code AS a ON a.entity_type_id = f.entity_type_id AND a.status_id = f.stage_id
