"""Every message on every wire: the v1 schema and its codecs, RecordIO, and the link between agents and their master."""
