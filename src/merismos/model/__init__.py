"""Values that every part shares: ids, roles, resources and refusals; no I/O, no clock, no chance.

Plain values: `rejection` (why something was refused), `ids`, `roles`, `scalars`, `ranges`, `sets`, `quantities`, `attributes`.
Resources: `identity` (what makes two entries the same), `resources` (the algebra), and their forms: `resource_json` (bytes, cached),
`resource_protocol` (messages; checked by `resource_rules`, printed by `resource_text`), `resource_notation` (flags; one value:
`value_notation`), `resource_v0` (the v0 endpoints), `resource_use` (may someone use them?).
"""
