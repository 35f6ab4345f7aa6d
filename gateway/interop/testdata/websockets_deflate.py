"""Clients on the Python package websockets, one for each offer of
permessage-deflate; see deflate_test.go. It prints a line of JSON for each."""

import asyncio
import json
import sys

import websockets
from websockets.extensions.permessage_deflate import (
    ClientPerMessageDeflateFactory,
    PerMessageDeflate,
)

job = json.load(sys.stdin)
texts = job["texts"]


def counting(extension):
    """Count the bytes of frames as they come and go, on the extension."""
    extension.received = extension.sent = 0
    decode, encode = extension.decode, extension.encode

    def count_decode(frame, **more):
        extension.received += len(frame.data)
        return decode(frame, **more)

    def count_encode(frame):
        frame = encode(frame)
        extension.sent += len(frame.data)
        return frame

    extension.decode, extension.encode = count_decode, count_encode


def pieces(data, frames):
    size = -(-len(data) // frames)
    return [data[i * size : (i + 1) * size] for i in range(frames)]


async def echoes(socket):
    for i, text in enumerate(texts):
        for data, frames in ((text, 1), (text.encode(), 1 + i % 4)):
            await socket.send(data if frames == 1 else pieces(data, frames))
            got = await socket.recv()
            if got != data:
                raise ValueError(f"message {i}: {len(got)} came back, not {len(data)}")


async def events(socket, channel):
    async def say(**command):
        await socket.send(pieces(json.dumps(command, ensure_ascii=False), 2))

    async def hear():
        return json.loads(await socket.recv())

    await hear()
    await say(type="subscribe", channel=channel)
    await hear()
    for text in texts:
        await say(type="publish", channel=channel, data=text)
        heard = [await hear(), await hear()]
        if sorted(m["type"] for m in heard) != ["event", "published"] or text not in (m.get("data") for m in heard):
            raise ValueError(f"heard {heard!r:.300}")


async def run(i, offer):
    try:
        factory = ClientPerMessageDeflateFactory(**offer)
        async with websockets.connect(job["url"], extensions=[factory], compression=None, max_size=None) as socket:
            response = getattr(socket, "response", None)
            headers = response.headers if response else socket.response_headers
            extensions = ", ".join(headers.get_all("Sec-WebSocket-Extensions"))
            agreed = getattr(socket, "extensions", None) or socket.protocol.extensions
            for extension in agreed:
                counting(extension)
            if job["gateway"]:
                await events(socket, f"{job['gateway']}.{i}")
            else:
                await echoes(socket)
            await socket.close(1000)
            assert isinstance(agreed[0], PerMessageDeflate)
            return {
                "extensions": extensions,
                "received": agreed[0].received,
                "sent": agreed[0].sent,
                "code": socket.close_code,
            }
    except Exception as problem:
        return {"problem": repr(problem)}


async def main():
    for i, offer in enumerate(job["offers"]):
        print(json.dumps({"i": i, **await run(i, offer)}), flush=True)


asyncio.run(main())
