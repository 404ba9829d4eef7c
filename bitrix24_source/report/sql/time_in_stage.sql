-- How long do items stay in a stage, and how many are in it now? A stage that was entered twice counts twice.
WITH stays AS (
    SELECT
        entity_type_id, category_id, stage_id,
        COUNT(left_at) AS times_left,
        COUNT(*) - COUNT(left_at) AS still_there,
        AVG(days) AS average_days,
        PERCENTILE_CONT(0.5) WITHIN GROUP (ORDER BY days) AS median_days,
        PERCENTILE_CONT(0.9) WITHIN GROUP (ORDER BY days) AS nine_of_ten_days
    FROM mart_stage_moves
    GROUP BY entity_type_id, category_id, stage_id
),
stages AS (
    SELECT DISTINCT entity_type_id, entity_type, category_id, category, stage_id, stage, stage_order FROM mart_stage_daily
)
SELECT
    d.entity_type_id, s.entity_type, s.category, d.stage_id, s.stage, d.times_left, d.still_there,
    ROUND(CAST(d.average_days AS DECIMAL(18, 4)), 2) AS average_days,
    ROUND(CAST(d.median_days AS DECIMAL(18, 4)), 2) AS median_days,
    ROUND(CAST(d.nine_of_ten_days AS DECIMAL(18, 4)), 2) AS nine_of_ten_days
FROM stays AS d
LEFT JOIN stages AS s
    ON s.entity_type_id = d.entity_type_id AND s.category_id IS NOT DISTINCT FROM d.category_id AND s.stage_id = d.stage_id
ORDER BY d.entity_type_id, d.category_id, s.stage_order, d.stage_id
