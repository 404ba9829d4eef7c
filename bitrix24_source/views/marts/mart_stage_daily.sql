-- How many items stood in a stage at the end of a day, and their present amount; from the stage's first item on, up to the load.
-- Running totals last from one change to the next, so days are made of changes and nothing has to be added up by day.
SELECT
    ADD_DAYS(r.day, m.n) AS day,
    r.entity_type_id,
    w.entity_type,
    r.category_id,
    w.category,
    r.stage_id,
    w.stage,
    w.stage_order,
    w.stage_color,
    w.semantics,
    CAST(r.items AS BIGINT) AS items,
    CAST(r.amount AS DOUBLE PRECISION) AS amount_base
FROM (
    SELECT
        c.day, c.entity_type_id, c.category_id, c.stage_id,
        SUM(c.items) OVER (PARTITION BY c.entity_type_id, c.category_id, c.stage_id ORDER BY c.day) AS items,
        SUM(c.amount) OVER (PARTITION BY c.entity_type_id, c.category_id, c.stage_id ORDER BY c.day) AS amount,
        DAY_COUNT(
            c.day,
            LEAST(
                COALESCE(
                    LEAD(c.day) OVER (PARTITION BY c.entity_type_id, c.category_id, c.stage_id ORDER BY c.day),
                    ADD_DAYS(PORTAL_DAY(n.at), 1)
                ),
                ADD_DAYS(PORTAL_DAY(n.at), 1)
            )
        ) AS days
    FROM stage_changes AS c
    CROSS JOIN as_of AS n
) AS r
JOIN numbers AS m ON m.n < r.days
LEFT JOIN stage_words AS w
    ON w.entity_type_id = r.entity_type_id AND w.category_key = COALESCE(r.category_id, -1) AND w.stage_id = r.stage_id
