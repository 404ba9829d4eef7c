"""Entry point of the console script and of `python -m bitrix24_source`.

Imports nothing before its guarded block, so that Ctrl-C is an exit code and one line also while the command line is imported.
"""


def main() -> None:
    """Runs the command line; Ctrl-C at any moment is exit code 130."""
    try:
        from .app.cli import main as run  # noqa: PLC0415 - see above

        run()
    except KeyboardInterrupt:
        import os  # noqa: PLC0415 - as above
        import signal  # noqa: PLC0415
        import sys  # noqa: PLC0415

        signal.signal(signal.SIGINT, signal.SIG_IGN)  # a second Ctrl-C must not interrupt the exit
        os.write(2, b"bitrix24: stopped\n")
        sys.exit(130)


if __name__ == "__main__":
    main()
