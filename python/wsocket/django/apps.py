"""The entry for ``INSTALLED_APPS``."""

from django.apps import AppConfig


class WSocketConfig(AppConfig):
    """``wsocket.django``."""

    name = "wsocket.django"
    label = "wsocket"
    verbose_name = "wsocket"
