"""The `embedder` command."""

from embedder.machine import prepare


def main() -> None:
    """Run it and exit."""
    prepare()
    from embedder.console.start import start  # noqa: PLC0415 - what it imports needs more than Windows has

    with start.part("imports"):
        from embedder.console.signals import exit_on_signals  # noqa: PLC0415

        exit_on_signals()  # before the slower imports
        from embedder.cli.command import run_command  # noqa: PLC0415
        from embedder.cli.steps import cli  # noqa: PLC0415

    run_command(cli, "embedder")


if __name__ == "__main__":
    main()
