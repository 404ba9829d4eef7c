-- From which stage do items go to which next one, how often, and what share of all that entered the stage is that?
-- Items that are still in the stage have no next one.
WITH moves AS (
    SELECT entity_type_id, category_id, stage_id, next_stage_id, COUNT(*) AS moves
    FROM mart_stage_moves
    GROUP BY 1, 2, 3, 4
),
stages AS (
    SELECT DISTINCT entity_type_id, entity_type, category_id, category, stage_id, stage, stage_order, semantics
    FROM mart_stage_daily
),
next_stages AS (
    SELECT entity_type_id, stage_id, MIN(stage) AS stage, MIN(stage_order) AS stage_order, MIN(semantics) AS semantics
    FROM stages
    GROUP BY 1, 2
)
SELECT
    m.entity_type_id, s.entity_type, s.category, m.stage_id, s.stage, m.next_stage_id, n.stage AS next_stage,
    n.semantics AS next_semantics, m.moves,
    ROUND(100.0 * m.moves / SUM(m.moves) OVER (PARTITION BY m.entity_type_id, m.category_id, m.stage_id), 1) AS percent
FROM moves AS m
LEFT JOIN stages AS s
    ON s.entity_type_id = m.entity_type_id AND s.category_id IS NOT DISTINCT FROM m.category_id AND s.stage_id = m.stage_id
LEFT JOIN next_stages AS n ON n.entity_type_id = m.entity_type_id AND n.stage_id = m.next_stage_id
ORDER BY m.entity_type_id, m.category_id, s.stage_order, m.stage_id, n.stage_order NULLS LAST, m.next_stage_id
