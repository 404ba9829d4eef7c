-- The time of the data: when the portal was last loaded. Ages and delays are counted up to it.
SELECT COALESCE(MAX(p.loaded_at), CURRENT_TIMESTAMP) AS at, MAX(p.base_currency) AS base_currency
FROM portal AS p
