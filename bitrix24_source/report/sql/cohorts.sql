-- Do companies come back? Of those that first bought in a month, how many bought again so many months later, and for how much?
WITH purchases AS (
    SELECT company_id, CAST(DATE_TRUNC('month', closed_date) AS DATE) AS month, SUM(amount_base) AS amount
    FROM mart_items
    WHERE semantics = 'success' AND company_id IS NOT NULL AND closed_date IS NOT NULL
    GROUP BY 1, 2
),
firsts AS (
    SELECT company_id, MIN(month) AS cohort FROM purchases GROUP BY company_id
),
sizes AS (
    SELECT cohort, COUNT(*) AS companies_first FROM firsts GROUP BY cohort
)
SELECT
    f.cohort,
    CAST(
        12 * (EXTRACT(YEAR FROM p.month) - EXTRACT(YEAR FROM f.cohort))
        + EXTRACT(MONTH FROM p.month) - EXTRACT(MONTH FROM f.cohort) AS INT
    ) AS months_later,
    MIN(s.companies_first) AS companies_first,
    COUNT(*) AS companies,
    ROUND(100.0 * COUNT(*) / MIN(s.companies_first), 1) AS percent,
    ROUND(CAST(SUM(p.amount) AS DECIMAL(24, 6)), 2) AS revenue
FROM purchases AS p
JOIN firsts AS f ON f.company_id = p.company_id
JOIN sizes AS s ON s.cohort = f.cohort
GROUP BY 1, 2
ORDER BY 1, 2
