"""What a process says and how it ends: messages and counts come in, lines, bars or JSON objects on standard error go out.

It knows no command. Import `progress.Progress`, `signals.exit_on_signals` and, for results, `log`.
"""
