"""The steps of a run: options and a place for the output come in, files are written there, results go out.

Import `plan`, `embed`, `finalize`, `status`, `preflight`, or `local` for all of a run in this process.
"""
