-- The value of one unit of a currency in the portal's base currency; the portal gives it for a number of units.
SELECT
    c.currency,
    MIN(CASE
        WHEN c.is_base THEN CAST(1 AS DOUBLE PRECISION)
        ELSE CAST(c.amount AS DOUBLE PRECISION) / NULLIF(CAST(c.amount_cnt AS DOUBLE PRECISION), 0)
    END) AS rate
FROM currencies AS c
GROUP BY c.currency
