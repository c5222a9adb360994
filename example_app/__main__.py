"""``python -m example_app``."""

from example_app.app import main

main()
