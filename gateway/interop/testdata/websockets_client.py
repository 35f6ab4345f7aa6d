"""A WebSocket client on the Python package websockets, driven by lines of JSON;
see script_test.go."""

import asyncio
import base64
import json
import sys

import websockets
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory


def tell(event, **more):
    print(json.dumps({"event": event, **more}), flush=True)


def connection(options):
    deflate = options.get("deflate")
    more = {}
    if isinstance(deflate, dict):
        more["extensions"] = [ClientPerMessageDeflateFactory(**deflate)]
    header = options.get("header") or {}
    if int(websockets.__version__.split(".")[0]) < 14:
        more["extra_headers"] = header
    else:
        more["additional_headers"] = header
    return websockets.connect(
        options["url"],
        subprotocols=options.get("subprotocols") or None,
        compression="deflate" if deflate is True else None,
        max_size=None,
        **more,
    )


async def obey(socket):
    reader = asyncio.StreamReader(limit=1 << 26)
    protocol = asyncio.StreamReaderProtocol(reader)
    await asyncio.get_running_loop().connect_read_pipe(lambda: protocol, sys.stdin)
    while line := await reader.readline():
        command = json.loads(line)
        data = command.get("data", "")
        match command["command"]:
            case "text":
                await socket.send(data)
            case "binary":
                await socket.send(base64.b64decode(data))
            case "ping":
                await (await socket.ping(data))
                tell("pong", data=data)
            case "close":
                await socket.close(command["code"], data)


async def hear(socket):
    try:
        async for message in socket:
            if isinstance(message, str):
                tell("text", data=message)
            else:
                tell("binary", data=base64.b64encode(message).decode())
    except websockets.ConnectionClosedError:
        pass
    tell("close", code=socket.close_code, data=socket.close_reason)


async def main(options):
    try:
        async with connection(options) as socket:
            response = getattr(socket, "response", None)
            headers = response.headers if response else socket.response_headers
            extensions = ", ".join(headers.get_all("Sec-WebSocket-Extensions"))
            tell("open", subprotocol=socket.subprotocol or "", extensions=extensions)
            obeying = asyncio.create_task(obey(socket))
            await hear(socket)
            obeying.cancel()
    except (OSError, websockets.WebSocketException) as problem:
        tell("error", data=repr(problem))


asyncio.run(main(json.loads(sys.argv[1])))
