"""The REST methods, a family a file, with filters and paging that they share."""
