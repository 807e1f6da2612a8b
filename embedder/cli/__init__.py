"""The `embedder` command: what a person or a pod writes comes in, steps and explore are called, lines and an exit code go out.

`command.run_command` runs any click command that way; `options` are those that several commands share, submit.py's too.
"""
