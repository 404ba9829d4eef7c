-- Present amounts, in the base currency and exact to the millionth, of items that are not deleted.
SELECT
    i.entity_type_id, i.id,
    CASE WHEN ABS(i.amount_base) < 1E18 THEN CAST(i.amount_base AS DECIMAL(38, 6)) END AS amount
FROM priced_items AS i
