"""What topics replace, a loop over a set: python -m wsocket fan_loop:app."""

from wsocket import WSocketApp

app = WSocketApp()
clients = set()


def join(client):
    clients.add(client)


def tell_all(message, client):
    for other in tuple(clients):
        other.send(message)


def leave(message, client):
    clients.discard(client)


app.onconnect += join
app.onmessage += tell_all
app.onclose += leave
