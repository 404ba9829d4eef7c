-- Which companies bring the most? A brings the first 80 percent of what was won, B the next 15, C the rest.
WITH revenue AS (
    SELECT company_id, MIN(company) AS company, COUNT(*) AS won, SUM(amount_base) AS amount
    FROM mart_items
    WHERE semantics = 'success' AND company_id IS NOT NULL AND amount_base > 0
    GROUP BY company_id
),
ranked AS (
    SELECT
        company_id, company, won, amount,
        SUM(amount) OVER (ORDER BY amount DESC, company_id) - amount AS amount_before,
        SUM(amount) OVER () AS amount_of_all
    FROM revenue
)
SELECT
    CASE WHEN amount_before < 0.8 * amount_of_all THEN 'A' WHEN amount_before < 0.95 * amount_of_all THEN 'B' ELSE 'C' END
        AS class,
    company_id, company, won,
    ROUND(CAST(amount AS DECIMAL(24, 6)), 2) AS revenue,
    ROUND(CAST(100 * amount / amount_of_all AS DECIMAL(18, 6)), 2) AS percent,
    ROUND(CAST(100 * (amount_before + amount) / amount_of_all AS DECIMAL(18, 6)), 2) AS percent_so_far
FROM ranked
ORDER BY amount DESC, company_id
