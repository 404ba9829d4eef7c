SELECT MAX(r.load_id) AS load_id FROM _dlt_loads AS r WHERE r.status = 0
