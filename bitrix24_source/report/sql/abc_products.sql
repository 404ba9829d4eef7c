-- Which products bring the most? A brings the first 80 percent of what was sold in won items, B the next 15, C the rest.
WITH revenue AS (
    SELECT product_id, product, SUM(quantity) AS quantity, SUM(amount_won) AS amount
    FROM mart_products
    GROUP BY product_id, product
    HAVING SUM(amount_won) > 0
),
ranked AS (
    SELECT
        product_id, product, quantity, amount,
        SUM(amount) OVER (ORDER BY amount DESC, product_id, product) - amount AS amount_before,
        SUM(amount) OVER () AS amount_of_all
    FROM revenue
)
SELECT
    CASE WHEN amount_before < 0.8 * amount_of_all THEN 'A' WHEN amount_before < 0.95 * amount_of_all THEN 'B' ELSE 'C' END
        AS class,
    product_id, product,
    ROUND(CAST(amount AS DECIMAL(24, 6)), 2) AS revenue,
    ROUND(CAST(100 * amount / amount_of_all AS DECIMAL(18, 6)), 2) AS percent,
    ROUND(CAST(100 * (amount_before + amount) / amount_of_all AS DECIMAL(18, 6)), 2) AS percent_so_far
FROM ranked
ORDER BY amount DESC, product_id, product
