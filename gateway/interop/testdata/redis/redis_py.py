# redis-py against the publish port: see TestRedisLibraries.
import sys

import redis

host, port = sys.argv[1], int(sys.argv[2])

plain = redis.Redis(host=host, port=port)
assert plain.publish("news", '"plain"') == 1
assert plain.ping()

options = {"protocol": 3} if int(redis.__version__.split(".")[0]) >= 5 else {}
known = redis.Redis(host=host, port=port, username="default", password="secret", client_name="me", **options)
assert known.publish("news", '"password"') == 1

pipe = plain.pipeline()  # a transaction, by default
for n in (1, 2, 3):
    pipe.publish("news", n)
assert pipe.execute() == [1, 1, 1]

pipe = plain.pipeline()
pipe.publish("news", "lost")
pipe.publish("a b", "1")
try:
    pipe.execute()
    raise SystemExit("a transaction with a bad channel succeeds")
except redis.ResponseError as error:
    assert "a channel name holds a space" in str(error), error

pipe = plain.pipeline(transaction=False)
pipe.publish("news", 4).publish("news", 5)
assert pipe.execute() == [1, 1]
print("redis-py", redis.__version__)
