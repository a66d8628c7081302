"""`python -m ishowtts`."""

import sys

from ishowtts.cli import main

sys.exit(main())
