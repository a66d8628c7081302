"""`ishowtts bench …`: the commands of the bench."""
