# redis-rb against the publish port: see TestRedisLibraries.
require "redis"

host, port = ARGV[0], ARGV[1].to_i
def check(is, want) = is == want || abort("#{is.inspect}, want #{want.inspect}")

plain = Redis.new(host: host, port: port)
check plain.publish("news", '"plain"'), 1

known = Redis.new(host: host, port: port, username: "default", password: "secret", id: "me")
check known.publish("news", '"password"'), 1

check plain.multi { |t| [1, 2, 3].each { |n| t.publish("news", n) } }, [1, 1, 1]

begin
  plain.multi { |t| t.publish("news", "lost"); t.publish("a b", "1") }
  abort "a transaction with a bad channel succeeds"
rescue Redis::CommandError => e
  e.message.include?("a channel name holds a space") || e.message.include?("EXECABORT") || abort(e.message)
end

check plain.pipelined { |p| [4, 5].each { |n| p.publish("news", n) } }, [1, 1]
puts "redis-rb #{Redis::VERSION}"
