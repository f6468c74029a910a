"""Values that every part shares: ids, roles, resources and refusals; no I/O, no clock, no chance.

`rejection` (why something was refused), `ids`, `roles`, `scalars`, `ranges`, `sets`, `identity`, `resources` (the algebra),
`quantities`, `resource_protocol`, `resource_json`, `resource_text`, `resource_v0` (its forms), `attributes`.
"""
