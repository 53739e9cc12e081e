"""What topics replace, a loop over a set: python -m wsocket fan_loop:app."""

from wsocket import WSocketApp

app = WSocketApp()
clients = set()
app.onconnect += clients.add
app.onclose += lambda client: clients.discard(client)


@app.onmessage.__iadd__
def tell_all(message, client):
    for other in tuple(clients):
        other.send(message)
