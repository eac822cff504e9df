"""Where the script `vla` enters Python; says no to one that is too old to read the rest."""

import os
import signal
import sys

if sys.version_info < (3, 8):  # noqa: UP036  (whoever starts us may not have read the README)
    sys.exit("vla: this python3 is {}.{}; 3.10 to 3.13 is needed.".format(*sys.version_info))

sys.path[0] = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

# `./vla --help | head` ends quietly, and so does what the script becomes.
signal.signal(signal.SIGPIPE, signal.SIG_DFL)

from tools.commands import main  # noqa: E402  (the path comes first)

sys.exit(main(sys.argv[1:]))
