"""The operation of services: logs, metrics, health, supervision."""
