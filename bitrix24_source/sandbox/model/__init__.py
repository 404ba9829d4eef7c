"""What the portal stores: entity types, fields, items and their history, and how they change."""
