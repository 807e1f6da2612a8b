"""The files of a small run, unmodified, in what others open them with: `make readers` runs these, in an environment of its own."""
