"""What a new portal holds: the demo company, hostile data, and a large portal to measure with."""
