"""`python -m admin`."""

import sys

if __name__ == "__main__":
    try:
        from admin.cli import main
        from admin.completion import VARIABLE

        main(prog_name="python -m admin", complete_var=VARIABLE)
    except KeyboardInterrupt:  # while it still loads; the rest is admin.door's
        sys.exit(130)
