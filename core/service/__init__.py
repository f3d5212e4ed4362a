"""What keeps a service running and tells how it is: logs, metrics, health, supervision."""
