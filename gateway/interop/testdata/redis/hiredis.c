/* hiredis against the publish port: see TestRedisLibraries. */
#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static redisReply *ask(redisContext *c, const char *command) {
	redisReply *r = redisCommand(c, command);
	if (r == NULL) {
		printf("%s: %s\n", command, c->errstr);
		exit(1);
	}
	return r;
}

static void check(int holds, const char *what) {
	if (!holds) {
		printf("%s\n", what);
		exit(1);
	}
}

int main(int argc, char **argv) {
	redisContext *c = redisConnect(argv[1], atoi(argv[2]));
	check(c != NULL && !c->err, "connect");
	check(ask(c, "PUBLISH news \"plain\"")->integer == 1, "plain");
	check(strcmp(ask(c, "AUTH default secret")->str, "OK") == 0, "AUTH");
	check(ask(c, "PUBLISH news \"password\"")->integer == 1, "password");

	ask(c, "MULTI");
	for (int n = 1; n <= 3; n++) {
		redisReply *r = redisCommand(c, "PUBLISH news %d", n);
		check(r != NULL && strcmp(r->str, "QUEUED") == 0, "queued");
	}
	redisReply *r = ask(c, "EXEC");
	check(r->type == REDIS_REPLY_ARRAY && r->elements == 3 && r->element[2]->integer == 1, "EXEC");

	ask(c, "MULTI");
	ask(c, "PUBLISH news lost");
	check(redisCommand(c, "PUBLISH %s 1", "a b") != NULL, "a bad channel");
	r = ask(c, "EXEC");
	check(r->type == REDIS_REPLY_ERROR && strncmp(r->str, "EXECABORT", 9) == 0, "EXECABORT");

	redisAppendCommand(c, "PUBLISH news 4");
	redisAppendCommand(c, "PUBLISH news 5");
	for (int n = 0; n < 2; n++) {
		check(redisGetReply(c, (void **)&r) == REDIS_OK && r->integer == 1, "pipeline");
	}
	printf("hiredis %d.%d.%d\n", HIREDIS_MAJOR, HIREDIS_MINOR, HIREDIS_PATCH);
	return 0;
}
