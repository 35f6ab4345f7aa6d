# redis-py with a key as password: see TestRedisLibrariesWithKeys.
import sys

import redis

host, port, key = sys.argv[1], int(sys.argv[2]), sys.argv[3]

known = redis.Redis(host=host, port=port, password=key)
assert known.publish("news", "1") == 1
assert redis.Redis(host=host, port=port, username="feed", password=key).publish("news", "2") == 1
assert redis.from_url(f"redis://:{key}@{host}:{port}/0").publish("news", "3") == 1

try:
    known.publish("secret", "1")
    raise SystemExit("another channel is taken")
except redis.exceptions.NoPermissionError:
    pass

pipe = known.pipeline()
pipe.publish("news", "lost")
pipe.publish("secret", "1")
try:
    pipe.execute()
    raise SystemExit("a transaction with another channel is taken")
except redis.ResponseError:
    pass

for options in {}, {"password": "wrong"}, {"password": key + "x"}, {"username": "other", "password": key}:
    try:
        redis.Redis(host=host, port=port, **options).publish("news", "lost")
        raise SystemExit(f"{sorted(options)} without the key are taken")
    except redis.RedisError:
        pass
print("redis-py", redis.__version__)
