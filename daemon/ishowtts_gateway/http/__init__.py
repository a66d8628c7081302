"""The page and the API over HTTP, and who may use them."""
