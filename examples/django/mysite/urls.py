"""Which view answers what."""

from django.contrib.staticfiles.urls import staticfiles_urlpatterns
from django.urls import path
from django.views.generic import RedirectView

from chat import views

urlpatterns = [
    path("", RedirectView.as_view(url="/room/lobby")),
    path("room/<room>", views.page),
    path("chat/<room>", views.chat),
    *staticfiles_urlpatterns(),  # while DEBUG is on
]
