"""What a sweep was asked to do: sweep files, read and settled.

- `sweep_spec`: the whole of a sweep file as a value; its parts in `axis_spec` and `design_spec`.
- `load`, `files`, `yaml_source`, `overrides`: from a file, a recipe or `--set` to that value.
- `compose`: `extends` and `include`, files put together before anything is checked.
- `baseline`: the trainer config every axis starts from.
- `axis_requests`: axes as written into axes that can be varied, sub-spaces and sets opened up.
- `resolve`: both together, every name checked; the one call the rest of the project makes.
- `schema`: the JSON Schemas editors use.
"""
