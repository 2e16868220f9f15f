"""The service for a WSGI server (``wsgi:app``), for ``flask run`` and for ``python wsgi.py``."""

if __name__ == "__main__":
    # The production server makes the app in each of its workers; this process needs none.
    from data_resource_api.cli import main

    main(["serve"])
else:
    from data_resource_api import create_app

    app = create_app()
