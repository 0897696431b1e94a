"""Many sites, one mind: agents of several machines joined by NATS. Imported only where a folder says it is joined."""
