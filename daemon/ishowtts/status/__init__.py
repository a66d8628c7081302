"""Status of the appliance: what it publishes, logs and reports to systemd about itself."""
