"""The web page of a master: static files, served by `adapters.http`."""
