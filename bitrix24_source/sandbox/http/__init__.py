"""HTTP: the server, an adapter for `requests`, addresses, responses, and how PHP reads a request."""
