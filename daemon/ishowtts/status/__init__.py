"""Status of the appliance: what it publishes and logs about itself."""
