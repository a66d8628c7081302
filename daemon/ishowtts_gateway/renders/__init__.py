"""Has appliances render text into sound, for the servers of the gateway."""
