"""``python -m wsocket`` is ``wsocket``."""

from .cli import main

if __name__ == "__main__":
    main()
