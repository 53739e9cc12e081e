"""Django's ``runserver`` with WebSockets.

    INSTALLED_APPS = [
        "wsocket.django",  # before django.contrib.staticfiles
        ...
    ]

Then ``python manage.py runserver`` serves on wsocket, with Django's checks,
reloader and static files, and ``request.environ["wsgi.websocket"]`` is there.
"""
