"""The page and the API over HTTP, in a process of their own. Web frameworks are imported in this room only."""
