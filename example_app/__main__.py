"""``python -m example_app``."""

from gevent import monkey

monkey.patch_all()  # before all other imports: the server that main() starts is gevent's

from example_app.app import main  # noqa: E402

main()
