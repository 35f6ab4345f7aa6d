<?php // predis against the publish port: see TestRedisLibraries.
require "Predis/autoload.php";
[, $host, $port] = $argv;
function check($is, $want) { if ($is !== $want) { echo json_encode($is), " instead of ", json_encode($want), "\n"; exit(1); } }

$plain = new Predis\Client(["host" => $host, "port" => (int)$port]);
check($plain->publish("news", '"plain"'), 1);

$known = new Predis\Client(["host" => $host, "port" => (int)$port]);
$known->executeRaw(["AUTH", "default", "secret"]);
check($known->publish("news", '"password"'), 1);

check($plain->transaction(function ($t) { foreach ([1, 2, 3] as $n) { $t->publish("news", $n); } }), [1, 1, 1]);

try {
    $plain->transaction(function ($t) { $t->publish("news", "lost"); $t->publish("a b", "1"); });
    echo "a transaction with a bad channel succeeds\n";
    exit(1);
} catch (Predis\PredisException $e) {
    if (!str_contains($e->getMessage(), "EXECABORT") && !str_contains($e->getMessage(), "a channel name")) { echo $e->getMessage(), "\n"; exit(1); }
}
$plain = new Predis\Client(["host" => $host, "port" => (int)$port]);
check($plain->pipeline(function ($p) { $p->publish("news", 4); $p->publish("news", 5); }), [1, 1]);
echo "predis ", Predis\Client::VERSION, "\n";
