"""Those at /all hear what the others publish with "!", and these hear their
echoes: python -m wsocket fan_echo_app:app."""

from wsocket import WSocketApp, publish

app = WSocketApp()


def join(client):
    if client.path == "/all":
        client.subscribe("all")


def answer(message, client):
    if message.startswith("!"):
        publish("all", message)
    else:
        client.send(message)


app.onconnect += join
app.onmessage += answer
