<?php // phpredis against the publish port: see TestRedisLibraries.
[, $host, $port] = $argv;
function check($is, $want) { if ($is !== $want) { echo json_encode($is), " instead of ", json_encode($want), "\n"; exit(1); } }

$plain = new Redis();
$plain->connect($host, (int)$port);
check($plain->publish("news", '"plain"'), 1);

$known = new Redis();
$known->connect($host, (int)$port);
check($known->auth(["default", "secret"]), true);
$known->client("SETNAME", "me");
check($known->publish("news", '"password"'), 1);

check($plain->multi()->publish("news", "1")->publish("news", "2")->publish("news", "3")->exec(), [1, 1, 1]);

// No transaction that fails: behind an error while it queues, phpredis waits for a reply that is not to come,
// from Redis as from here.
$plain = new Redis();
$plain->connect($host, (int)$port);
check($plain->pipeline()->publish("news", "4")->publish("news", "5")->exec(), [1, 1]);
echo "phpredis ", phpversion("redis"), "\n";
