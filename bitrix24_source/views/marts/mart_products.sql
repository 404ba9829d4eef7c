-- Sales of each product: product rows of items that are not deleted, by type and month of the item's creation.
SELECT
    MONTH_OF(s.created_date) AS month,
    s.entity_type_id,
    MIN(s.entity_type) AS entity_type,
    s.product_id,
    s.product_name AS product,
    COUNT(*) AS rows,
    SUM(s.quantity) AS quantity,
    SUM(s.amount) AS amount,
    SUM(CASE WHEN s.semantics = 'success' THEN s.amount END) AS amount_won,
    COUNT(DISTINCT s.item_id) AS items
FROM (
    SELECT
        p.entity_type_id, p.product_id, p.product_name, i.id AS item_id, i.entity_type, i.created_date, i.semantics,
        BOUNDED(p.quantity) AS quantity,
        COALESCE(BOUNDED(p.price_account), BOUNDED(p.price) * r.rate) * BOUNDED(p.quantity) AS amount
    FROM product_rows AS p
    JOIN mart_items AS i ON i.entity_type_id = p.entity_type_id AND i.id = p.owner_id
    LEFT JOIN rates AS r ON r.currency = i.currency
) AS s
GROUP BY MONTH_OF(s.created_date), s.entity_type_id, s.product_id, s.product_name
