"""A broadcast server that parses the JSON of each event and writes it anew, as
Python does by default: with spaces, here also with sorted keys. It prints its port."""

import asyncio
import json

import websockets

clients = set()


async def serve(socket, *_):
    clients.add(socket)
    try:
        async for text in socket:
            if text.startswith("P"):
                event = "P" + json.dumps(json.loads(text[1:]), sort_keys=True)
                for client in list(clients):
                    await client.send(event)
    except websockets.ConnectionClosed:
        pass
    finally:
        clients.discard(socket)


async def main():
    async with websockets.serve(serve, "127.0.0.1", 0) as server:
        print(server.sockets[0].getsockname()[1], flush=True)
        await asyncio.Future()


asyncio.run(main())
