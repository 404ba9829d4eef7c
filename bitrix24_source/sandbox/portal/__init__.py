"""One portal: credentials, limits, faults, and the way of a call from the request to its method."""
