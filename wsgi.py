"""The service for a WSGI server (``wsgi:app``), for ``flask run`` and for ``python wsgi.py``."""

import sys

if __name__ == "__main__":
    # The production server makes the app in each of its workers; this process needs none.
    from data_resource_api.cli import main

    main(["serve", *sys.argv[1:]])
elif __name__ != "__mp_main__":  # which is what multiprocessing calls it in a worker of that server
    from data_resource_api import create_app

    app = create_app()
