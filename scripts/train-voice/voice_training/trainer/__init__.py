"""What both trainings share: steps, averages, small states, and the loop that runs them."""
