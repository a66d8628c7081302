"""What both trainers share: optimizer, moving average, compressed state, and the loop that runs them."""
