"""Inflates what comes on standard input: per payload a byte, the window's bits,
and payload and message with their lengths in four bytes. It prints a line for
each: ok, or what is wrong."""

import struct
import sys
import zlib


def inflate(bits, payload):
    """Give zlib no room but for a byte, so that all else it refers to must be in
    its window."""
    inflater = zlib.decompressobj(-bits)
    message = bytearray()
    rest = payload + b"\x00\x00\xff\xff"
    while True:
        part = inflater.decompress(rest, 1)
        rest = inflater.unconsumed_tail
        message += part
        if not part and not rest:
            return bytes(message)


def block(stream):
    return stream.read(struct.unpack(">I", stream.read(4))[0])


stream = sys.stdin.buffer
while bits := stream.read(1):
    payload, message = block(stream), block(stream)
    try:
        print("ok" if inflate(bits[0], payload) == message else "another message")
    except zlib.error as problem:
        print(problem)
