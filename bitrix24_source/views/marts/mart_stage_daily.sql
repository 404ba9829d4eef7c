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
        CAST(SUM(g.items) OVER (PARTITION BY g.entity_type_id, g.category_id, g.stage_id ORDER BY g.day) AS BIGINT) AS items,
        SUM(g.amount) OVER (PARTITION BY g.entity_type_id, g.category_id, g.stage_id ORDER BY g.day) AS amount
    FROM (
        SELECT
            e.day, e.entity_type_id, e.category_id, e.stage_id, SUM(e.items) AS items, SUM(e.amount) AS amount
        FROM (
            SELECT d.day, d.entity_type_id, d.category_id, d.stage_id, d.items, COALESCE(d.amount, 0) AS amount
            FROM stage_deltas AS d
            UNION ALL
            SELECT ADD_DAYS(k.first_day, m.n), k.entity_type_id, k.category_id, k.stage_id, 0, 0
            FROM (
                SELECT
                    h.entity_type_id, h.category_id, h.stage_id,
                    MIN(PORTAL_DAY(h.created_time)) AS first_day,
                    DAY_COUNT(MIN(PORTAL_DAY(h.created_time)), MAX(PORTAL_DAY(n.at))) AS days
                FROM stage_history AS h
                LEFT JOIN deleted_items AS x ON x.entity_type_id = h.entity_type_id AND x.id = h.owner_id
                CROSS JOIN as_of AS n
                WHERE x.id IS NULL
                GROUP BY h.entity_type_id, h.category_id, h.stage_id
            ) AS k
            JOIN numbers AS m ON m.n <= k.days
        ) AS e
        GROUP BY e.day, e.entity_type_id, e.category_id, e.stage_id
    ) AS g
) AS f
LEFT JOIN entity_types AS t ON t.entity_type_id = f.entity_type_id
LEFT JOIN all_categories AS c ON c.entity_type_id = f.entity_type_id AND c.id = f.category_id
LEFT JOIN stages_by_category AS s
    ON s.entity_type_id = f.entity_type_id AND s.category_id = f.category_id AND s.status_id = f.stage_id
LEFT JOIN stages_by_code AS a ON a.entity_type_id = f.entity_type_id AND a.status_id = f.stage_id
