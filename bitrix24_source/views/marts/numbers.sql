-- 0 to 9999: days enough for 27 years, in every dialect.
SELECT a.d + 10 * b.d + 100 * c.d + 1000 * e.d AS n
FROM digits AS a CROSS JOIN digits AS b CROSS JOIN digits AS c CROSS JOIN digits AS e
